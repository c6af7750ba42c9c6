// ashlar volume attach, volume release: a volume as a block device of this host.
#include <fmt/format.h>

#include <filesystem>

#include "action/volumes.h"
#include "process/host_command.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"

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

Result<ExitCode> attach_now(const Globals& globals, OpenHost& open, VolumeId id) {
  const Attachment attached = TRY(attach_volume(*open.host, open.caller, id));
  globals.json ? print_json({{"volume", id.text()},
                             {"method", attach_method_name(attached.method)},
                             {"device", attached.device}})
               : print(attached.device + "\n");
  return ExitCode::kDone;
}

// A word as a person types it: quoted where a shell needs it.
std::string typed(const std::string& word) {
  const bool is_plain = word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos;
  return is_plain ? word : shell_quoted(word);
}

std::string command_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + typed(word);
  return line;
}

// Prints commands and changes nothing. Without a server the commands begin with one.
Result<ExitCode> attach(const Globals& globals, const Options& options) {
  OpenHost open = TRY(open_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  if (options.run) return attach_now(globals, open, id);
  const VolumeAddress address = TRY(locate_volume(*open.host, open.caller, id));
  std::vector<std::string> commands;
  if (!address.server.empty()) {
    std::vector<std::string> words = address.server;
    words.front() = std::filesystem::path(words.front()).filename();  // found by the PATH of the user
    commands.push_back(command_line(words) + " &");
    commands.push_back(fmt::format("until [ -S {} ]; do sleep 0.1; done", shell_quoted(address.at.socket)));
  }
  if (options.qemu) {
    const DiskWords words = disk_words(address.at, id, 0);
    commands.push_back(fmt::format("qemu-system-x86_64 -blockdev {} -device {}", shell_quoted(words.blockdev),
                                   shell_quoted(words.device)));
    return show(globals, "qemu", commands);
  }
  const AttachMethod method = TRY(choose_attach_method());
  for (const std::string& command : attach_commands(method, address.at)) commands.push_back(command);
  return show(globals, attach_method_name(method), commands);
}

Result<ExitCode> release(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  const auto released = TRY(release_volume(*open.host, open.caller, id));
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
  attaching.flag("--run", options->run, "Run the commands, with a server if none runs, and print the device");
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
