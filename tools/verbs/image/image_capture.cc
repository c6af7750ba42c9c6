// ashlar image capture: the disks of a host become an image, all at the same moment.
#include <fmt/format.h>

#include "action/disks.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

struct Options {
  std::string name;
  std::string description;
  std::string root_device;
  std::vector<std::string> devices;
  std::vector<std::string> tags;
  std::vector<std::string> freeze;
  bool live = false;
  std::string architecture = "x86_64";
  std::string boot_mode = "legacy-bios";
};

Result<CaptureImage::Disk> disk_of(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == word.size())
    return invalid(fmt::format("--device: '{}' is not of the form DEVICE=SOURCE", word));
  return CaptureImage::Disk{word.substr(0, equals), word.substr(equals + 1)};
}

Result<CaptureImage> request_of(const Options& options) {
  CaptureImage request;
  request.name = options.name;
  request.description = options.description;
  request.root_device = options.root_device;
  for (const std::string& word : options.devices) request.disks.push_back(TRY(disk_of(word)));
  request.tags = TRY(parse_tags(options.tags));
  request.freeze = options.freeze;
  request.live = options.live;
  request.architecture = TRY(parse_architecture(options.architecture));
  request.boot_mode = TRY(parse_boot_mode(options.boot_mode));
  return request;
}

// Checks everything that can be told without the store and the sources.
Status check(const Options& options) {
  if (options.name.empty()) return invalid("--name is required");
  if (options.live && !options.freeze.empty()) return invalid("--live and --freeze exclude each other");
  return check_request(TRY(request_of(options)));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  TRY(stop.watch());
  const ImageRecord made = TRY(capture_image(*store.repo, store.caller, TRY(request_of(options))));
  globals.json ? print_json({{"ImageId", made.id.text()}}) : print(made.id.text() + "\n");
  return ExitCode::kDone;
}

}  // namespace

void add_image_capture(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      "image capture", "Capture the disks of a host together as an image, and print its id",
      "  ashlar image capture --name db-host --device /dev/sda=/dev/nvme0n1 --device /dev/sdb=/dev/nvme1n1 "
      "--freeze / --freeze /srv/db");
  verb.text("--name", "NAME", options->name, "3 to 128 characters; each account has a name once");
  verb.texts("--device", "DEVICE=SOURCE", options->devices,
             "What a device of the image is captured from: a disk, a disk image or an NBD URI; may be given "
             "more than once");
  verb.text("--root-device", "DEVICE", options->root_device, "The device to boot from [the first]");
  verb.texts("--freeze", "DIRECTORY", options->freeze,
             "Freeze this mounted file system until all is captured; may be given more than once");
  verb.flag("--live", options->live, "Capture although sources are mounted and may be written to meanwhile");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  verb.text("--architecture", "NAME", options->architecture, "As for 'image create' [x86_64]");
  verb.text("--boot-mode", "MODE", options->boot_mode, "As for 'image create' [legacy-bios]");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
