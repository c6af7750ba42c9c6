// ashlar image copy: an image and its snapshots into another store.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/units.h"
#include "catalog/settings.h"
#include "image/contents.h"
#include "image/signing.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/stop.h"
#include "shapes/transfer_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string image;
  std::string to;
  std::string name;
  bool keep_tags = false;
  bool drop_deprecation = false;
};

// Within one store the snapshots are named once more, and no data crosses.
Result<ImageCopyReport> copy(const Globals& globals, ImageStore& here, ImageStore& there,
                             const ImageRecord& original, const Options& options, const Stop& stop) {
  Repo& from = here.repo();
  Repo& to = there.repo();
  const ReadParts source = TRY(from.read_parts());
  const WriteParts target = TRY(to.write_parts());
  const ImageCopyOptions how = {options.name, there.account(), options.keep_tags, !options.drop_deprecation};
  CopyProgress progress;
  const ProgressDisplay display(globals, "image copy", [&progress] { return sample_of(progress); });
  const std::vector<SnapshotRecord> snapshots = TRY(records_of(original, from.snapshots()));
  const auto pending =
      TRY(PendingImage::begin(to.objects(), to.config().id, PendingImage::Snapshots::kStay));
  return copy_image({from.config().id, source, original, snapshots}, target, *pending, how, progress,
                    stop.token());
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  ImageStore here = TRY(ImageStore::open(globals));
  const ImageRecord original = TRY(here.find(TRY(ImageId::parse(options.image))));
  if (original.state != ImageState::kAvailable)
    return invalid(fmt::format("{} is {}, not available", options.image, image_state_name(original.state)));
  Globals elsewhere = globals;
  elsewhere.store = options.to;
  ImageStore there = TRY(ImageStore::open(elsewhere));
  if (const auto warning =
          TRY(check_trust(original, TRY(get_settings(there.repo().objects()))).with_context(options.to))) {
    print_warning(*warning);
  }
  const bool is_same = there.repo().config().id == here.repo().config().id;
  TRY(stop.watch());
  const ImageCopyReport report = TRY(copy(globals, here, is_same ? here : there, original, options, stop));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json(transfer_json(report, seconds));
    return ExitCode::kDone;
  }
  print(report.image.id.text() + "\n");
  print_note(fmt::format("{} of segments and {} of nodes crossed in {}",
                         format_size(report.copy.segment_bytes_sent),
                         format_size(report.copy.node_bytes_sent), duration_text(seconds)));
  return ExitCode::kDone;
}

}  // namespace

void add_image_copy(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb =
      cli.add_verb("image copy", "Copy an image and its snapshots into another store, and print its id there",
                   "  ashlar image copy ami-01a2b3c4d5e6f7089 --to /backup/elsewhere --name web-1.4");
  verb.image("IMAGE", options->image, "The image");
  verb.text("--to", "STORE", options->to, "The directory of the other store");
  verb.text("--name", "TEXT", options->name, "Its name there [the same]");
  verb.flag("--copy-tags", options->keep_tags, "Its tags go along");
  verb.flag("--no-deprecation", options->drop_deprecation, "Its time of deprecation stays behind");
  verb.check([options]() -> Status {
    if (options->to.empty()) return invalid("--to is required");
    return options->name.empty() ? Status() : check_image_name(options->name);
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
