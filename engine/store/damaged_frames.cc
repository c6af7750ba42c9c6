#include "store/damaged_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pack/pack_store.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxNotes = 100;

DamageRecord whole(const PackId& pack) {
  DamageRecord record;
  record.pack = pack;
  record.is_whole = true;
  return record;
}

}  // namespace

Status DamagedFrames::refresh() {
  std::map<PackId, DamageRecord> stored;
  for (const PackId& pack : TRY(catalog_.list_ids())) {
    auto record = catalog_.find(pack);
    if (is(record, ErrorCode::kCorrupt) || is(record, ErrorCode::kUnsupported)) {
      stored.emplace(pack, whole(pack));
    } else if (!record.ok()) {
      return record.take_error();
    } else if (record.value()) {
      stored.emplace(pack, *record.value());
    }
  }
  const std::lock_guard lock(mutex_);
  for (const auto& [pack, record] : unrecorded_)
    add_findings(stored.try_emplace(pack, record).first->second, record);
  std::erase_if(known_, [&](const auto& entry) { return !stored.contains(entry.first); });
  for (const auto& [pack, record] : stored) take_in(record);
  any_ = std::ranges::any_of(known_, [](const auto& entry) { return !entry.second.is_empty(); });
  return {};
}

// Needs the lock.
void DamagedFrames::take_in(const DamageRecord& record) {
  const auto known = known_.find(record.pack);
  const bool is_more = has_more(record, known == known_.end() ? DamageRecord() : known->second);
  if (is_more) grown_[record.pack] = ++now_;
  known_.insert_or_assign(record.pack, record);
  if (!record.is_empty()) any_ = true;
}

// Needs the lock.
const DamageRecord* DamagedFrames::find(const PackId& pack) const {
  const auto found = known_.find(pack);
  return found == known_.end() ? nullptr : &found->second;
}

bool DamagedFrames::is_known(const PackId& pack) const {
  const std::lock_guard lock(mutex_);
  return find(pack) != nullptr;
}

bool DamagedFrames::has_damage(const PackId& pack) const {
  if (!any_) return false;
  const std::lock_guard lock(mutex_);
  const DamageRecord* record = find(pack);
  return record != nullptr && !record->is_empty();
}

bool DamagedFrames::is_whole(const PackId& pack) const {
  if (!any_) return false;
  const std::lock_guard lock(mutex_);
  const DamageRecord* record = find(pack);
  return record != nullptr && record->is_whole;
}

FrameSet DamagedFrames::damaged(const PackId& pack, const SegmentId& segment) const {
  if (!any_) return {};
  const std::lock_guard lock(mutex_);
  const DamageRecord* record = find(pack);
  if (record == nullptr) return {};
  if (record->is_whole) return ~FrameSet();
  const auto found = record->segments.find(segment);
  return found == record->segments.end() ? FrameSet() : found->second.damaged;
}

FrameSet DamagedFrames::lost(const PackId& pack, const SegmentId& segment) const {
  if (!any_) return {};
  const std::lock_guard lock(mutex_);
  const DamageRecord* record = find(pack);
  if (record == nullptr) return {};
  if (record->is_given_up) return ~FrameSet();
  const auto found = record->segments.find(segment);
  return found == record->segments.end() ? FrameSet() : found->second.lost;
}

bool DamagedFrames::is_damaged(const PackId& pack, const NodeId& node) const {
  if (!any_) return false;
  const std::lock_guard lock(mutex_);
  const DamageRecord* record = find(pack);
  return record != nullptr && (record->is_whole || record->nodes.contains(node));
}

bool DamagedFrames::is_lost(const PackId& pack, const NodeId& node) const {
  if (!any_) return false;
  const std::lock_guard lock(mutex_);
  const DamageRecord* record = find(pack);
  if (record == nullptr) return false;
  const auto found = record->nodes.find(node);
  return record->is_given_up || (found != record->nodes.end() && found->second == NodeDamage::kLost);
}

void DamagedFrames::report(const PackId& pack, const SegmentId& segment, std::size_t frame,
                           const std::string& what) {
  if (damaged(pack, segment)[frame]) return;
  DamageRecord finding;
  finding.pack = pack;
  finding.segments[segment].damaged[frame] = true;
  report(finding, what);
}

void DamagedFrames::report(const PackId& pack, const NodeId& node, const std::string& what) {
  if (is_damaged(pack, node)) return;
  DamageRecord finding;
  finding.kind = PackKind::kMeta;
  finding.pack = pack;
  finding.nodes[node] = NodeDamage::kDamaged;
  report(finding, what);
}

// The pack is looked for first: what is found in a pack that was removed meanwhile is of no use, and its
// record would stay.
void DamagedFrames::report(const DamageRecord& finding, const std::string& what) {
  const auto pack = objects_.stat(pack_key(finding.kind, finding.pack));
  if (is(pack, ErrorCode::kNotFound)) return;
  const auto stored = catalog_.add(finding);
  const std::lock_guard lock(mutex_);
  DamageRecord record = finding;
  if (stored.ok()) {
    record = stored.value();
  } else {
    add_findings(unrecorded_.try_emplace(finding.pack, finding).first->second, finding);
    if (const DamageRecord* known = find(finding.pack)) add_findings(record, *known);
  }
  take_in(record);
  if (notes_.size() >= kMaxNotes) return;
  notes_.push_back(stored.ok() ? fmt::format("damage found and recorded: {}", what)
                               : fmt::format("damage found, which could not be recorded ({}): {}",
                                             stored.error().text(), what));
}

void DamagedFrames::learn(const DamageRecord& stored) {
  const std::lock_guard lock(mutex_);
  unrecorded_.erase(stored.pack);
  if (stored.revision > 0) take_in(stored);
}

std::vector<std::string> DamagedFrames::take_notes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(notes_, {});
}

DamagedFrames::Moment DamagedFrames::now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

Status DamagedFrames::check_unchanged(Moment since, const std::set<PackId>& packs) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [pack, moment] : grown_) {
    if (moment > since && packs.contains(pack))
      return busy(fmt::format(
          "damage was found meanwhile in pack {}, which the snapshot relies on: run again", pack.hex()));
  }
  return {};
}

}  // namespace ashlar
