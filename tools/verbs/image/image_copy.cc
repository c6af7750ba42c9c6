// ashlar image copy: an image and its snapshots into another store.
#include <fmt/format.h>

#include "action/image_transfers.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
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

Result<ImageCopyReport> copy(const Globals& globals, const Options& options) {
  Stop stop;
  Globals elsewhere = globals;
  elsewhere.store = options.to;
  const auto from = TRY(open_store(globals));
  const auto to = TRY(open_store(elsewhere));
  TerminalNotices notices(globals);
  const Caller here = TRY(caller_of(globals, *from, notices, stop.token()));
  const Caller there = TRY(caller_of(elsewhere, *to, notices, stop.token()));
  TRY(stop.watch());
  return copy_image(*from, here, *to, there, TRY(ImageId::parse(options.image)),
                    {options.name, options.keep_tags, !options.drop_deprecation});
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const double started = monotonic_seconds();
  const ImageCopyReport report = TRY(copy(globals, options));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json(transfer_json(report, seconds));
    return ExitCode::kDone;
  }
  print(report.image.id.text() + "\n");
  print_note(fmt::format("{} of segments and {} of nodes were sent in {}",
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
  verb.text("--name", "TEXT", options->name, "The name of the copy [the original's]");
  verb.flag("--copy-tags", options->keep_tags, "Copy its tags too");
  verb.flag("--no-deprecation", options->drop_deprecation, "Do not copy its time of deprecation");
  verb.check([options]() -> Status {
    if (options->to.empty()) return invalid("--to is required");
    return options->name.empty() ? Status() : check_image_name(options->name);
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
