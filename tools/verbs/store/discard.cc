// ashlar store discard: moves a damaged record aside.
#include <fmt/format.h>

#include "action/stores.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  std::string id;
  bool is_confirmed = false;
};

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const DiscardedRecord discarded = TRY(discard_damaged_record(*store.repo, store.caller, options.id));
  if (globals.json) {
    print_json({{"discarded", options.id}, {"damage", discarded.damage}, {"kept", discarded.kept}});
  } else {
    print(discarded.kept.empty()
              ? fmt::format("The {} of this store were gone; they are the defaults now\n", options.id)
              : fmt::format("The record of {} is gone; its bytes are kept in {}\n", options.id,
                            discarded.kept));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_discard(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("store discard",
                           "Give up a damaged record, such as that of a snapshot; keeps its bytes aside",
                           "  ashlar store discard ami-01a2b3c4d5e6f7089 --yes");
  verb.positional(
      "ID", "ID", options->id,
      "The id of the snapshot, volume, image, launch template, lifecycle policy or session, or what the "
      "error "
      "names: a name claim \"image-names/...\", \"settings\", or \"collection\" for the state of collect",
      Presence::kRequired);
  verb.flag("--yes", options->is_confirmed, "Confirms that it is given up; required");
  verb.check([options]() -> Status {
    if (options->is_confirmed) return {};
    return invalid("--yes is required: it confirms that the record is given up");
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
