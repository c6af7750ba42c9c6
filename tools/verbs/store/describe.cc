// ashlar describe: everything that a snapshot's record says.
#include "action/snapshots.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/record_output.h"

namespace ashlar {
namespace {

Result<ExitCode> run(const Globals& globals, const std::string& id) {
  const OpenStore store = TRY(open_for_actions(globals));
  const SnapshotRecord record = TRY(describe_snapshot(*store.repo, store.caller, TRY(SnapshotId::parse(id))));
  globals.json ? print_json({{"snapshot", record_json(record)}}) : print(record_text(record));
  return ExitCode::kDone;
}

}  // namespace

void add_describe(Cli& cli) {
  auto id = std::make_shared<std::string>();
  Verb verb = cli.add_verb("describe", "Show everything that is recorded of a snapshot",
                           "  ashlar describe snap-01a2b3c4d5e6f7089");
  verb.snapshot("SNAP", *id, "The snapshot");
  cli.on_run(Needs::kStore, [id](const Globals& globals) { return run(globals, *id); });
}

}  // namespace ashlar
