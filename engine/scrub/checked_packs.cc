#include "scrub/checked_packs.h"

#include <algorithm>
#include <mutex>

#include "base/parallel.h"
#include "scrub/record_check.h"
#include "scrub/record_findings.h"
#include "scrub/trace_check.h"

namespace ashlar {
namespace {

// A check that is stopped ends with its next part.
std::function<void(std::uint64_t)> count_bytes(const PackChecks& work) {
  return [&work](std::uint64_t bytes) {
    work.progress.done_bytes += bytes;
    best_effort(work.pace.move(bytes, work.stop));
  };
}

void check_data(const PackChecks& work, const NeededParts* needs, CheckedPack& checked, PackTally& tally) {
  DataPackCheck check{work.parts.objects, checked.pack, nullptr, count_bytes(work),
                      [&](const SegmentId& id) { checked.segments.push_back(id); }};
  if (needs != nullptr) check.wanted = [needs](const SegmentId& id) { return needs->segments.contains(id); };
  checked.faults = check_data_pack(check, tally);
}

void check_meta(const PackChecks& work, const NeededParts* needs, CheckedPack& checked, PackTally& tally) {
  MetaPackCheck check{work.parts.objects, checked.pack, nullptr, count_bytes(work),
                      [&](const NodeId& id) { checked.nodes.push_back(id); }};
  if (needs != nullptr) check.wanted = [needs](const NodeId& id) { return needs->nodes.contains(id); };
  checked.faults = check_meta_pack(check, tally);
}

// Returns whether a collection has removed the pack since it was listed. A pack that is needed and gone is
// found by the walk.
Result<bool> has_gone(const PackChecks& work, const CheckedPack& checked) {
  const bool is_sound = std::ranges::all_of(checked.faults, &PackFault::is_absent);
  if (is_sound) return false;
  return is(work.parts.objects.stat(pack_key(checked.kind, checked.pack)), ErrorCode::kNotFound);
}

}  // namespace

Status check_packs(const PackChecks& work, PackKind kind, const std::vector<PackId>& packs,
                   const NeededParts* needs) {
  std::mutex mutex;
  return parallel_for(packs.size(), processor_count(), work.stop, [&](std::size_t i) -> Status {
    PackTally tally;
    CheckedPack checked{kind, packs[i], needs == nullptr, {}, {}, {}};
    kind == PackKind::kData ? check_data(work, needs, checked, tally)
                            : check_meta(work, needs, checked, tally);
    if (TRY(has_gone(work, checked))) return {};
    auto sound_again = record_findings(work.parts.damage, checked);
    const std::lock_guard lock(mutex);
    ++work.report.packs;
    work.report.segments += tally.segments;
    work.report.blocks += tally.blocks;
    work.report.nodes += tally.nodes;
    work.report.bytes_read += ByteCount{tally.bytes};
    for (const PackFault& fault : checked.faults) {
      work.losses.note(packs[i], fault);
      if (fault.is_unread) work.unread.insert(packs[i]);
    }
    if (!sound_again.ok()) {
      work.report.unrecorded.push_back(sound_again.error().text());
    } else {
      for (SoundAgain& sound : sound_again.value()) work.report.sound_again.push_back(std::move(sound));
    }
    return {};
  });
}

Status load_damage(const PackChecks& work) {
  const Status loaded = work.parts.damage.refresh();
  if (!loaded.ok())
    work.losses.add(std::string(DamageCatalog::kFolder), std::nullopt, std::nullopt, loaded.error().text(),
                    true);
  return {};
}

Status check_damage_records(const PackChecks& work) {
  TRY(load_damage(work));
  DamageCatalog& records = work.parts.damage.catalog();
  const auto ids = records.list_ids();
  if (!ids.ok()) return {};  // said by load_damage()
  for (const PackId& pack : ids.value()) {
    const auto is_gone = [&](PackKind kind) {
      return is(work.parts.objects.stat(pack_key(kind, pack)), ErrorCode::kNotFound);
    };
    if (is_gone(PackKind::kData) && is_gone(PackKind::kMeta)) {
      best_effort(records.remove(pack));
      continue;
    }
    const auto record = records.find(pack);
    if (!record.ok())
      work.losses.add(DamageCatalog::key_of(pack), std::nullopt, std::nullopt, record.error().text(),
                      !says_damage(record.error()));
  }
  return {};
}

Status check_small_records(const PackChecks& work) {
  std::vector<RecordFault> faults = TRY(check_records(work.parts.objects));
  for (RecordFault& fault : TRY(check_traces(work.parts.objects))) faults.push_back(std::move(fault));
  for (RecordFault& fault : faults)
    work.losses.add(std::move(fault.object), std::nullopt, std::nullopt, std::move(fault.what),
                    fault.is_unread);
  return {};
}

Status walk_snapshots(const PackChecks& work, const std::vector<SnapshotId>& ids) {
  for (const SnapshotId id : ids) {
    const auto object = work.parts.snapshots.read(id);
    if (is(object, ErrorCode::kNotFound)) continue;
    if (!object.ok()) {
      ++work.report.snapshots;
      work.losses.add_snapshot(id, object.error());
    } else if (const SnapshotRecord* record = record_of(object.value())) {
      ++work.report.snapshots;
      TRY(work.losses.walk(*record));
    }
  }
  return {};
}

}  // namespace ashlar
