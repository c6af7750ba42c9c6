#include "host/volume_snapshots.h"

#include <algorithm>

#include "volume/volume_source.h"

namespace ashlar {
namespace {

Result<CaptureReport> snapshot_view(Repo& repo, Volumes& volumes, OpenVolumeToCapture wanted,
                                    std::unique_ptr<SnapshotView> view, CaptureProgress& progress,
                                    const std::stop_token& stop) {
  VolumeCatalog& catalog = volumes.catalog();
  const VolumeRecord record = TRY(catalog.get(wanted.id));
  CaptureOptions& options = wanted.options;
  options.parent = TRY(repo.snapshots().get(view->base()));
  const auto base = TRY(volumes.images().open(view->base()));
  VolumeSource source(wanted.id, *view, *base);
  auto changed = TRY(source.changed_extents());
  options.changed = ChangedMap{std::move(*changed), options.parent->change_token, true};
  const WriteParts parts = TRY(repo.write_parts());
  CaptureReport report = TRY(capture(parts, source, options, progress, stop));
  // Both bases are named until the overlay durably stands on the new one.
  VolumeRecord now = record;
  now.base = report.record.id;
  now.previous_base = view->base();
  ++now.revision;
  TRY(catalog.replace(record, now));
  wanted.volume->set_base(TRY(volumes.images().open(report.record.id)));
  TRY(wanted.volume->overlay().end_view(std::move(view), report.record.id));
  VolumeRecord settled = now;
  settled.previous_base = SnapshotId{};
  ++settled.revision;
  TRY(catalog.replace(now, settled));
  return report;
}

}  // namespace

Result<std::vector<CaptureReport>> snapshot_together(Repo& repo, Volumes& volumes,
                                                     std::vector<OpenVolumeToCapture> wanted,
                                                     CaptureProgress& progress, const std::stop_token& stop) {
  std::ranges::sort(wanted, {}, &OpenVolumeToCapture::id);
  std::vector<Overlay*> overlays;
  for (const OpenVolumeToCapture& one : wanted) {
    if (TRY(volumes.catalog().get(one.id)).is_detached)
      return unsupported(one.id.text() + " is detached from the store: capture its raw file");
    overlays.push_back(&one.volume->overlay());
  }
  auto views = TRY(Overlay::begin_views(overlays));
  std::vector<CaptureReport> reports;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    reports.push_back(
        TRY(snapshot_view(repo, volumes, std::move(wanted[i]), std::move(views[i]), progress, stop)));
  }
  return reports;
}

Result<CaptureReport> snapshot_one(Repo& repo, Volumes& volumes, OpenVolumeToCapture wanted,
                                   CaptureProgress& progress, const std::stop_token& stop) {
  std::vector<OpenVolumeToCapture> one;
  one.push_back(std::move(wanted));
  return std::move(TRY(snapshot_together(repo, volumes, std::move(one), progress, stop)).front());
}

}  // namespace ashlar
