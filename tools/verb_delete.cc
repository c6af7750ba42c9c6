// ashlar delete: removes a snapshot's record. Its blocks stay until a collection frees them.
#include <fmt/format.h>

#include "catalog/traces.h"
#include "cli.h"
#include "host/volume_host.h"
#include "output.h"
#include "store_option.h"

namespace ashlar {
namespace {

Status refuse_if_used(VolumeCatalog& volumes, SnapshotId id) {
  const auto volume = TRY(volume_on(volumes, id));
  if (!volume) return {};
  return busy(fmt::format("{} is in use by {}: delete that volume first", id.text(), volume->text()));
}

// A volume may be made on the snapshot at this very moment: whoever makes one looks for the snapshot after
// publishing, and we look for volumes after removing. If both came through, the record is put back.
Status remove(Repo& repo, SnapshotId id) {
  VolumeCatalog volumes(repo.objects());
  TRY(refuse_if_used(volumes, id));
  const auto record = repo.snapshots().get(id);
  TRY(repo.snapshots().remove(id));
  Status unused = refuse_if_used(volumes, id);
  if (!unused.ok() && record.ok()) TRY(repo.snapshots().publish(record.value()));
  // Advice, so a failure to clear it away is no failure of the deletion.
  if (unused.ok()) (void)TraceCatalog(repo.objects()).remove(id).ok();
  return unused;
}

Result<ExitCode> run(const Globals& globals, const std::string& text) {
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const SnapshotId id = TRY(SnapshotId::parse(text));
  TRY(remove(*repo, id));
  if (globals.json) print_json({{"deleted", id.text()}});
  return ExitCode::kDone;
}

}  // namespace

void add_delete(Cli& cli) {
  auto id = std::make_shared<std::string>();
  Verb verb = cli.add_verb("delete", "Delete a snapshot; others that share its blocks keep them",
                           "  ashlar delete snap-01a2b3c4d5e6f7089");
  verb.snapshot("SNAP", *id, "The snapshot");
  cli.on_run(Needs::kStore, [id](const Globals& globals) { return run(globals, *id); });
}

}  // namespace ashlar
