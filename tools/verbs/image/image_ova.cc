// ashlar image import-ova: a machine that another program exported as OVA becomes an image.
#include <fmt/format.h>

#include "action/disks.h"
#include "base/clock.h"
#include "document/image_names.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string name;
  std::string description;
  std::string architecture = "x86_64";
  std::vector<std::string> tags;
};

Result<ImportOva> request_of(const Options& options) {
  ImportOva request;
  request.file = options.file;
  request.name = options.name;
  request.description = options.description;
  request.architecture = TRY(parse_architecture(options.architecture));
  request.tags = TRY(parse_tags(options.tags));
  return request;
}

Status check(const Options& options) {
  const ImportOva request = TRY(request_of(options));
  TRY(check_tags(request.tags));
  return options.name.empty() ? Status() : check_image_name(options.name);
}

void print_image(const Globals& globals, const ImageRecord& image, double seconds) {
  if (!globals.json) {
    print(image.id.text() + "\n");
    print_note(
        fmt::format("Imported {} in {}", count_text(image.devices.size(), "disk"), duration_text(seconds)));
    return;
  }
  Json snapshots = Json::array();
  for (const ImageDevice& device : image.devices) snapshots.push_back(device.content.snapshot.text());
  print_json({{"ImageId", image.id.text()}, {"Snapshots", snapshots}, {"seconds", seconds}});
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  TRY(stop.watch());
  const ImageRecord image = TRY(import_ova(*store.repo, store.caller, TRY(request_of(options))));
  print_image(globals, image, monotonic_seconds() - started);
  return ExitCode::kDone;
}

}  // namespace

void add_image_ova(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb =
      cli.add_verb("image import-ova", "Import a machine that another program exported as OVA as an image",
                   "  ashlar image import-ova web.ova --name web-1.5");
  verb.positional("FILE", "FILE", options->file, "The OVA");
  verb.text("--name", "TEXT", options->name, "The name of the image [the machine's]");
  verb.text("--description", "TEXT", options->description, "A description [the machine's]");
  verb.text("--architecture", "NAME", options->architecture,
            "i386, x86_64, arm64, riscv64, ppc64le, s390x [x86_64]");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag of the image; may be given more than once");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
