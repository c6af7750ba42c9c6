// ashlar image inspect: what an image, or a snapshot, holds that should not be in a template.
#include <fmt/format.h>

#include "action/image_checks.h"
#include "base/clock.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/inspection_output.h"

namespace ashlar {
namespace {

Status check(const std::string& id) {
  if (SnapshotId::parse(id).ok() || ImageId::parse(id).ok()) return {};
  return invalid(fmt::format("'{}' is neither an image (ami-…) nor a snapshot (snap-…)", id));
}

Result<std::vector<InspectedDevice>> inspect(Repo& repo, const Caller& caller, const std::string& id) {
  const auto snapshot = SnapshotId::parse(id);
  if (snapshot.ok()) return inspect_snapshot(repo, caller, snapshot.value());
  return inspect_image(repo, caller, TRY(ImageId::parse(id)));
}

Result<ExitCode> run(const Globals& globals, const std::string& id) {
  Stop stop;
  const double started = monotonic_seconds();
  TRY(stop.watch());
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, stop.token()));
  const std::vector<InspectedDevice> devices = TRY(inspect(*repo, caller, id));
  if (globals.json) {
    print_json(inspection_json(id, devices, monotonic_seconds() - started));
  } else {
    print(inspection_text(id, devices));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_image_inspect(Cli& cli) {
  const auto id = std::make_shared<std::string>();
  Verb verb =
      cli.add_verb("image inspect",
                   "List partitions, file systems, and what in them should not be in a template: keys, "
                   "histories, ids, logs",
                   "  ashlar image inspect ami-01a2b3c4d5e6f7089\n"
                   "  ashlar image inspect snap-01a2b3c4d5e6f7089 --json   # before an image is made of it");
  verb.positional("ID", "IMAGE|SNAP", *id, "The image, or a snapshot of a disk");
  verb.check([id] { return check(*id); });
  cli.on_run(Needs::kStore, [id](const Globals& globals) { return run(globals, *id); });
}

}  // namespace ashlar
