// ashlar volume attach, volume release: a volume as a block device of this host.
#include <fmt/format.h>

#include "attachment.h"
#include "machine/instances.h"
#include "process/host_command.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  std::string volume;
  bool run = false;
  bool qemu = false;
};

Status check(const Options& options) {
  if (options.run && options.qemu) return invalid("give one of --run and --qemu");
  return {};
}

Result<ExitCode> show(const Globals& globals, std::string_view method,
                      const std::vector<std::string>& commands) {
  if (globals.json) {
    print_json({{"method", method}, {"commands", commands}});
    return ExitCode::kDone;
  }
  for (const std::string& command : commands) print(command + "\n");
  return ExitCode::kDone;
}

// Two that write to one volume destroy what they write.
Status refuse_if_running(const HostDirectory& host, VolumeId id) {
  const Instances instances(posix_file_system(), host.instances());
  const auto owner = TRY(instances.owner_of(id));
  if (!owner || TRY(instances.state_of(*owner)) == InstanceState::kStopped) return {};
  return busy(fmt::format("{} is in use by {}: stop that machine first", id.text(), owner->id.text()));
}

Result<ExitCode> attach_now(const Globals& globals, VolumeHost& host, VolumeId id) {
  Attachments attachments(host.repo().host(), id);
  TRY(attachments.hold());  // nobody starts a machine on it between the question and the answer's use
  TRY(refuse_if_running(host.repo().host(), id));
  const AttachMethod method = TRY(choose_attach_method());
  const NbdExport at = TRY(HostServer(host.repo()).open(id));
  const Attachment attached = TRY(attachments.attach(method, at));
  globals.json ? print_json({{"volume", id.text()},
                             {"method", attach_method_name(attached.method)},
                             {"device", attached.device}})
               : print(attached.device + "\n");
  return ExitCode::kDone;
}

// Nothing is changed. Without a server the commands begin with one.
Result<ExitCode> attach(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  TRY(host->catalog().get(id));
  if (options.run) return attach_now(globals, *host, id);
  HostServer server(host->repo());
  std::vector<std::string> commands;
  auto at = TRY(server.open_if_running(id));
  if (!at) {
    commands.push_back(server.command_text() + " &");
    at = NbdExport{server.socket(), id.text()};
  }
  if (options.qemu) {
    const DiskWords words = disk_words(*at, id, 0);
    commands.push_back(fmt::format("qemu-system-x86_64 -blockdev {} -device {}", shell_quoted(words.blockdev),
                                   shell_quoted(words.device)));
    return show(globals, "qemu", commands);
  }
  const AttachMethod method = TRY(choose_attach_method());
  for (const std::string& command : attach_commands(method, *at)) commands.push_back(command);
  return show(globals, attach_method_name(method), commands);
}

Result<ExitCode> release(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  const auto released = TRY(Attachments(host->repo().host(), id).release());
  if (globals.json)
    print_json({{"volume", id.text()}, {"released", released ? Json(released->device) : Json()}});
  return ExitCode::kDone;
}

}  // namespace

void add_volume_attach(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb attaching = cli.add_verb(
      "volume attach", "Print the commands that make a volume a block device of this host, or run them",
      "  ashlar volume attach vol-01a2b3c4d5e6f7089 --run      # prints the device\n"
      "  ashlar volume attach vol-01a2b3c4d5e6f7089 --qemu");
  attaching.volume("VOL", options->volume, "The volume");
  attaching.flag("--run", options->run, "Do it, with a server if none runs, and print the device");
  attaching.flag("--qemu", options->qemu, "Print how to attach it to a QEMU machine instead");
  attaching.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return attach(globals, *options); });

  Verb releasing =
      cli.add_verb("volume release", "Undo 'volume attach --run'; fails while the device is in use",
                   "  ashlar volume release vol-01a2b3c4d5e6f7089");
  releasing.volume("VOL", options->volume, "The volume");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return release(globals, *options); });
}

}  // namespace ashlar
