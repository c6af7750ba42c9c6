#include "scrub/verify.h"

#include <algorithm>
#include <set>

#include "scrub/checked_packs.h"

namespace ashlar {
namespace {

std::vector<PackId> ids_of(const std::vector<ListedPack>& packs) {
  std::vector<PackId> ids;
  ids.reserve(packs.size());
  for (const ListedPack& pack : packs) ids.push_back(pack.id);
  return ids;
}

Result<VerifyReport> finish(VerifyReport report, Losses& losses) {
  report.damages = TRY(losses.take());
  return report;
}

// Verifies the store while captures and deletes run. The order makes that safe: the snapshots are listed
// first, then the index catches up, then the packs are listed, so all objects that a snapshot needs are known
// when it is walked. A snapshot that is gone by then was purged; one in the bin can come back.
Status check_everything(const PackChecks& work) {
  const std::vector<SnapshotId> ids = TRY(work.parts.snapshots.list_ids());
  TRY(work.parts.index.catch_up());
  const auto data = TRY(list_packs(work.parts.objects, PackKind::kData));
  const auto meta = TRY(list_packs(work.parts.objects, PackKind::kMeta));
  for (const auto* packs : {&data, &meta}) {
    for (const ListedPack& pack : *packs) work.progress.total_bytes += pack.bytes;
  }
  TRY(check_damage_records(work));
  TRY(check_packs(work, PackKind::kMeta, ids_of(meta), nullptr));
  TRY(check_packs(work, PackKind::kData, ids_of(data), nullptr));
  if (work.losses.any()) TRY(work.parts.index.catch_up());  // a collection may have moved what is needed
  TRY(walk_snapshots(work, ids));
  return check_small_records(work);
}

// The first walk collects what the snapshot needs, then the packs are checked, and a second walk finds the
// blocks that the faults hit.
Status check_one(const PackChecks& work, const SnapshotRecord& record) {
  NeededParts needs;
  TRY(work.losses.walk(record, &needs));
  work.losses.forget();
  std::set<PackId> data;
  std::set<PackId> meta;
  for (const SegmentId& segment : needs.segments) {
    for (const SegmentPlace& place : TRY(work.parts.index.segment_places(segment))) {
      data.insert(place.pack);
      work.progress.total_bytes += std::uint64_t{place.entry.directory_bytes} + place.entry.payload_bytes;
    }
  }
  for (const NodeId& node : needs.nodes) {
    for (const NodePlace& place : TRY(work.parts.index.node_places(node))) {
      meta.insert(place.pack);
      work.progress.total_bytes += place.entry.bytes;
    }
  }
  TRY(load_damage(work));
  TRY(check_packs(work, PackKind::kMeta, {meta.begin(), meta.end()}, &needs));
  TRY(check_packs(work, PackKind::kData, {data.begin(), data.end()}, &needs));
  ++work.report.snapshots;
  return work.losses.walk(record);
}

}  // namespace

std::size_t VerifyReport::damaged() const {
  return static_cast<std::size_t>(std::ranges::count(damages, false, &Damage::is_unread));
}

Result<VerifyReport> verify_all(const VerifyParts& parts, VerifyProgress& progress,
                                const std::stop_token& stop) {
  VerifyReport report;
  Losses losses(parts, stop);
  Pace pace(0);
  std::set<PackId> unread;
  TRY(check_everything({parts, progress, pace, stop, report, losses, unread}));
  return finish(std::move(report), losses);
}

Result<VerifyReport> verify_snapshot(const VerifyParts& parts, SnapshotId id, VerifyProgress& progress,
                                     const std::stop_token& stop) {
  const SnapshotRecord record = TRY(parts.snapshots.get(id));
  VerifyReport report;
  Losses losses(parts, stop);
  Pace pace(0);
  std::set<PackId> unread;
  TRY(check_one({parts, progress, pace, stop, report, losses, unread}, record));
  return finish(std::move(report), losses);
}

}  // namespace ashlar
