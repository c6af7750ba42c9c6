// ashlar delete: puts a snapshot into the recycle bin.
#include "action/snapshots.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

Result<ExitCode> run(const Globals& globals, const std::string& text) {
  const OpenStore store = TRY(open_for_actions(globals));
  const SnapshotId id = TRY(SnapshotId::parse(text));
  TRY(delete_snapshot(*store.repo, store.caller, id));
  if (globals.json) print_json({{"deleted", id.text()}});
  return ExitCode::kDone;
}

}  // namespace

void add_delete(Cli& cli) {
  auto id = std::make_shared<std::string>();
  Verb verb = cli.add_verb(
      "delete", "Delete a snapshot: it goes into the recycle bin; others that share its blocks keep them",
      "  ashlar delete snap-01a2b3c4d5e6f7089");
  verb.snapshot("SNAP", *id, "The snapshot");
  cli.on_run(Needs::kStore, [id](const Globals& globals) { return run(globals, *id); });
}

}  // namespace ashlar
