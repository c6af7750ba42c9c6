#include "source_capture.h"

#include "output.h"
#include "progress.h"
#include "record_output.h"

namespace ashlar {
namespace {

Result<CaptureReport> capture_with_progress(const Globals& globals, Repo& repo, Source& source,
                                            const CaptureOptions& options, const Stop& stop) {
  const CaptureParts parts = {repo.config(),         repo.objects(),     *TRY(repo.index()),
                              *TRY(repo.segments()), *TRY(repo.nodes()), repo.snapshots()};
  CaptureProgress progress;
  const ProgressDisplay display(globals, "capture", [&progress] { return sample_of(progress); });
  return capture(parts, source, options, progress, stop.token());
}

}  // namespace

// A damaged record must not keep a capture from being made: a missing parent costs time only.
Result<std::optional<SnapshotRecord>> find_parent(Repo& repo, const Source& source, const std::string& word) {
  if (word == "none") return std::optional<SnapshotRecord>();
  if (word != "auto") return std::optional(TRY(repo.snapshots().get(TRY(SnapshotId::parse(word)))));
  const SourceIdentity identity = identity_of(source);
  if (identity.is_zero()) return std::optional<SnapshotRecord>();
  auto found = repo.snapshots().newest_of(identity);
  if (found.ok()) return found;
  if (found.error().code() != ErrorCode::kCorrupt) return found;
  print_warning("no parent is used, everything is read: " + found.error().text());
  return std::optional<SnapshotRecord>();
}

Result<CaptureReport> capture_source(const Globals& globals, Repo& repo, Source& source, CaptureOptions how,
                                     bool guessed, const Stop& stop) {
  auto report = capture_with_progress(globals, repo, source, how, stop);
  if (report.ok() || report.error().code() != ErrorCode::kCorrupt || !guessed || !how.parent) return report;
  print_warning("the parent is not used, everything is read: " + report.error().text());
  how.parent.reset();
  how.changed.reset();
  return capture_with_progress(globals, repo, source, how, stop);
}

}  // namespace ashlar
