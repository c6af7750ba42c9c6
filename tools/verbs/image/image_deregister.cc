// ashlar image deregister: retires an image into the recycle bin.
#include <algorithm>

#include "action/images.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"

namespace ashlar {
namespace {

struct Options {
  std::string image;
  bool delete_snapshots = false;
};

Json results_json(const DeregisteredImage& done) {
  Json results = Json::array();
  for (const SnapshotId id : done.snapshots) {
    const bool is_deleted = std::ranges::find(done.deleted, id) != done.deleted.end();
    results.push_back({{"SnapshotId", id.text()}, {"ReturnCode", is_deleted ? "success" : "skipped"}});
  }
  return results;
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, {}));
  const auto snapshots = options.delete_snapshots ? ImageSnapshots::kDelete : ImageSnapshots::kKeep;
  const DeregisteredImage done =
      TRY(deregister_image(*repo, caller, TRY(ImageId::parse(options.image)), snapshots));
  if (globals.json) {
    const Json results = options.delete_snapshots ? results_json(done) : Json::array();
    print_json({{"ImageId", options.image}, {"DeleteSnapshotResults", results}});
  } else if (!options.delete_snapshots) {
    for (const SnapshotId id : done.snapshots) print(id.text() + "\n");
  }
  return ExitCode::kDone;
}

}  // namespace

void add_image_deregister(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb =
      cli.add_verb("image deregister", "Retire an image, and print the ids of its snapshots, which stay",
                   "  ashlar image deregister ami-01a2b3c4d5e6f7089 --delete-snapshots");
  verb.image("IMAGE", options->image, "The image");
  verb.flag("--delete-snapshots", options->delete_snapshots,
            "Delete its snapshots too, except for those that other images or volumes need");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
