// capture_source(): a source becomes a snapshot.
#include <fmt/format.h>

#include "action/capture_run.h"
#include "action/snapshots.h"
#include "quiesce/quiescence.h"

namespace ashlar {
namespace {

Status check_request(const CaptureSource& request) {
  if (request.live && !request.freeze.empty()) return invalid("a live capture does not freeze file systems");
  if (request.changed && !request.bitmap.empty())
    return invalid("what changed comes either from a map or from a bitmap");
  if (request.expected_bytes && request.source != "-") return invalid("only a stream has an expected size");
  return {};
}

Result<std::optional<SnapshotRecord>> find_parent(Repo& repo, const Source& source, const Caller& caller,
                                                  const CaptureSource& request) {
  switch (request.parent) {
    case CaptureSource::Parent::kNone:
      break;
    case CaptureSource::Parent::kGiven:
      return std::optional(TRY(repo.snapshots().get(request.given)));
    case CaptureSource::Parent::kNewest:
      return newest_of_source(repo, source, caller.notices);
  }
  return std::optional<SnapshotRecord>();
}

Result<std::optional<ChangedMap>> find_changed(Source& source, const CaptureSource& request) {
  if (request.bitmap.empty()) return request.changed;
  auto ranges = TRY(source.changed_extents());
  if (!ranges)
    return unsupported(fmt::format("{} keeps no map of changes; bitmaps are for NBD sources", source.name()));
  return std::optional(ChangedMap{std::move(*ranges), request.bitmap});
}

Result<Consistency> check_consistency(const Source& source, const Caller& caller,
                                      const CaptureSource& request) {
  const Consistencies found =
      TRY(check_quiescence({{&source, request.source}}, request.freeze, request.live));
  for (const std::string& mount_point : found.unused)
    caller.notices.warn(
        fmt::format("{} does not need to be frozen: {} is not mounted there and does not lie on it",
                    mount_point, source.name()));
  return found.of_sources.front();
}

Result<CaptureOptions> capture_options(Repo& repo, Source& source, const Caller& caller,
                                       const CaptureSource& request) {
  CaptureOptions out;
  out.change_token = request.change_token;
  out.parent = TRY(find_parent(repo, source, caller, request));
  out.changed = TRY(find_changed(source, request));
  out.paranoid = request.paranoid;
  out.skip_unreadable = request.skip_unreadable;
  out.name = request.name;
  out.description = request.description;
  out.tags = request.tags;
  out.threads = request.threads;
  return out;
}

}  // namespace

Result<CaptureReport> capture_source(Repo& repo, const Caller& caller, const CaptureSource& request) {
  TRY(check_request(request));
  const auto raw_file = TRY(hold_raw_file(repo, request.source));
  SourceOptions how_read;
  how_read.dirty_bitmap = request.bitmap;
  how_read.expected_bytes = request.expected_bytes;
  const auto source = TRY(open_source(request.source, how_read));
  const Consistency consistency = TRY(check_consistency(*source, caller, request));
  CaptureOptions how = TRY(capture_options(repo, *source, caller, request));
  how.consistency = consistency;
  Frozen frozen = TRY(Frozen::freeze(request.freeze, repo.address().directory));
  const auto parent =
      request.parent == CaptureSource::Parent::kNewest ? ParentChoice::kGuessed : ParentChoice::kChosen;
  const CaptureReport report = TRY(run_capture(repo, caller, "capture", *source, std::move(how), parent));
  TRY(frozen.thaw().with_context(report.record.id.text() + " is made, but its source is still frozen"));
  return report;
}

}  // namespace ashlar
