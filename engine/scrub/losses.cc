#include "scrub/losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "manifest/subtree.h"
#include "manifest/tree.h"
#include "scrub/snapshot_names.h"
#include "store/place_errors.h"

namespace ashlar {

// Records a fault. Data is lost only when every place of a segment or a node has a fault, because reads try
// them all; a fault in one of several is damage without loss.
void Losses::note(const PackId& pack, const PackFault& fault) {
  if (fault.is_absent) {
    absent_[*fault.segment][pack] |= block_set(fault.first, fault.count);
    return;
  }
  const std::size_t damage = add(fault.object, fault.segment, fault.frame, fault.what, fault.is_unread);
  damages_[damage].node = fault.node;
  if (fault.node) node_faults_[*fault.node].emplace(pack, damage);
  if (fault.segment) faults_[*fault.segment][pack].push_back({fault.first, fault.count, damage});
  if (!fault.segment && !fault.node) {
    bad_packs_.emplace(pack, damage);
    has_unread_packs_ = has_unread_packs_ || fault.is_unread;
  }
}

std::size_t Losses::add(std::string object, std::optional<SegmentId> segment,
                        std::optional<std::uint32_t> frame, std::string what, bool is_unread) {
  damages_.push_back({std::move(object), segment, frame, std::nullopt, std::move(what), is_unread, {}, {}});
  return damages_.size() - 1;
}

void Losses::lose(std::size_t damage, SnapshotId snapshot, BlockRange range) {
  auto& losses = damages_[damage].losses;
  if (losses.empty() || losses.back().snapshot != snapshot) losses.push_back({snapshot, {}, {}, {}});
  auto& ranges = losses.back().ranges;
  if (!ranges.empty() && ranges.back().end() == range.first) {
    ranges.back().count += range.count;
  } else if (range.count.value > 0) {
    ranges.push_back(range);
  }
}

void Losses::add_snapshot(SnapshotId id, const Error& error) {
  const std::size_t damage =
      add(SnapshotCatalog::key_of(id), std::nullopt, std::nullopt, error.text(), !says_damage(error));
  damages_[damage].losses.push_back({id, {}, {}, {}});
}

Status Losses::walk(const SnapshotRecord& snapshot, NeededParts* needs) {
  if (stop_.stop_requested()) return cancelled();
  if (snapshot.store != parts_.config.id) {
    add(SnapshotCatalog::key_of(snapshot.id), std::nullopt, std::nullopt,
        "the record belongs to another store");
  }
  walked_ = snapshot.id;
  volume_ = blocks_covering(snapshot.size);
  TRY(walk_subtree(snapshot.root, snapshot.root_level, 0, needs));
  return {};
}

// Walks subtree `index` of `level`. Returns whether it is sound, so that a subtree that many snapshots
// share is walked once.
Result<bool> Losses::walk_subtree(const NodeRef& ref, std::uint8_t level, std::uint64_t index,
                                  NeededParts* needs) {
  const Lba first{index * blocks_below(level).value};
  const BlockCount blocks = subtree_blocks(volume_, level, index);
  if (!ref.is_node() || clean_.contains({ref.id, ref.digest, level, blocks.value})) return true;
  if (const auto bad = bad_nodes_.find(ref.id); bad != bad_nodes_.end()) {
    lose(bad->second, walked_, {first, blocks});
    return false;
  }
  if (needs != nullptr) needs->nodes.insert(ref.id);
  if (const auto damages = TRY(damages_of(ref.id)); !damages.empty()) {
    for (const std::size_t damage : damages) lose(damage, walked_, {first, blocks});
    return false;
  }
  return level == 0 ? walk_leaf(ref, first, blocks, needs) : walk_inner(ref, level, index, blocks, needs);
}

// Returns the damages of the node's places when no place of it is sound, else none. In a pack with damaged
// ends the node may still be readable, but the pack cannot be ingested again: the node is found only as
// long as the index lasts.
Result<std::vector<std::size_t>> Losses::damages_of(const NodeId& id) {
  std::vector<std::size_t> damages;
  const auto faults = node_faults_.find(id);
  if (faults == node_faults_.end() && bad_packs_.empty()) return damages;
  std::optional<PackId> sound;
  for (const NodePlace& place : TRY(parts_.index.node_places(id))) {
    const std::size_t before = damages.size();
    if (const auto bad = bad_packs_.find(place.pack); bad != bad_packs_.end()) damages.push_back(bad->second);
    if (faults != node_faults_.end()) {
      if (const auto fault = faults->second.find(place.pack); fault != faults->second.end())
        damages.push_back(fault->second);
    }
    if (damages.size() == before) sound = place.pack;
  }
  if (!sound) return damages;
  for (const std::size_t damage : damages) damages_[damage].sound_in.insert(*sound);
  return std::vector<std::size_t>();
}

Result<bool> Losses::walk_inner(const NodeRef& ref, std::uint8_t level, std::uint64_t index,
                                BlockCount blocks, NeededParts* needs) {
  if (stop_.stop_requested()) return cancelled();
  const auto node = load_inner(nodes_, ref, level, blocks);
  if (!node.ok()) return lose_node(ref, node.error(), {Lba{index * blocks_below(level).value}, blocks});
  bool sound = true;
  for (std::size_t child = 0; child < node.value()->children.size(); ++child) {
    const bool child_sound = TRY(walk_subtree(
        node.value()->children[child], static_cast<std::uint8_t>(level - 1), index * kFanout + child, needs));
    sound = sound && child_sound;
  }
  if (sound) clean_.insert({ref.id, ref.digest, level, blocks.value});
  return sound;
}

Result<bool> Losses::walk_leaf(const NodeRef& ref, Lba first, BlockCount blocks, NeededParts* needs) {
  const auto leaf = load_leaf(nodes_, ref, blocks);
  if (!leaf.ok()) return lose_node(ref, leaf.error(), {first, blocks});
  bool sound = true;
  Lba lba = first;
  for (const LeafExtent& extent : leaf.value()->extents) {
    if (extent.kind == ExtentKind::kData) {
      const SegmentId& segment = leaf.value()->segments[extent.segment];
      if (needs != nullptr) needs->segments.insert(segment);
      const bool extent_sound = TRY(check_extent(segment, extent, lba));
      sound = sound && extent_sound;
    }
    lba += BlockCount{extent.block_count};
  }
  if (!sound || needs != nullptr) return sound;
  const Status digest = check_digest(*leaf.value(), block_marks_);
  if (!digest.ok()) return lose_node(ref, digest.error(), {first, blocks});
  clean_.insert({ref.id, ref.digest, 0, blocks.value});
  return true;
}

Result<bool> Losses::lose_node(const NodeRef& ref, const Error& error, BlockRange range) {
  if (error.code() == ErrorCode::kCancelled) return cancelled();
  const auto [known, added] = bad_nodes_.try_emplace(ref.id, 0);
  if (added) {
    const auto place = TRY(parts_.index.find_node(ref.id));
    known->second = add(place ? pack_key(PackKind::kMeta, place->pack) : "meta/", std::nullopt, std::nullopt,
                        error.text(), !says_damage(error));
  }
  lose(known->second, walked_, range);
  return false;
}

// Returns the blocks of a segment that a place does not have.
SegmentBlocks Losses::lost_at(const SegmentPlace& place) const {
  if (bad_packs_.contains(place.pack)) return ~SegmentBlocks();
  SegmentBlocks lost;
  for (const LostBlocks& blocks : faults_at(place)) lost |= block_set(blocks.first, blocks.count);
  return lost | absent_at(place);
}

SegmentBlocks Losses::absent_at(const SegmentPlace& place) const {
  const auto segment = absent_.find(place.entry.id);
  if (segment == absent_.end()) return {};
  const auto found = segment->second.find(place.pack);
  return found == segment->second.end() ? SegmentBlocks() : found->second;
}

const std::vector<Losses::LostBlocks>& Losses::faults_at(const SegmentPlace& place) const {
  static const std::vector<LostBlocks> kNone;
  const auto faults = faults_.find(place.entry.id);
  if (faults == faults_.end()) return kNone;
  const auto found = faults->second.find(place.pack);
  return found == faults->second.end() ? kNone : found->second;
}

// Reports the blocks of an extent that are in `lost`.
void Losses::lose_blocks(std::size_t damage, const SegmentBlocks& lost, const LeafExtent& extent, Lba lba) {
  for (std::uint32_t i = 0; i < extent.block_count; ++i) {
    if (lost[extent.first_block + i]) lose(damage, walked_, {lba + BlockCount{i}, BlockCount{1}});
  }
}

// Returns whether the blocks of an extent can be read: its segment is in a pack, and each of them is
// without a fault in one of its places. What is lost is reported with the faults of all places.
Result<bool> Losses::check_extent(const SegmentId& segment, const LeafExtent& extent, Lba lba) {
  const auto places = TRY(parts_.index.segment_places(segment));
  const SegmentPlace* place = places.empty() ? nullptr : &places.front();
  if (place == nullptr || place->entry.block_count < extent.first_block + extent.block_count) {
    const auto [known, added] = missing_.try_emplace(segment, 0);
    if (added) {
      known->second = add("packs/", segment, std::nullopt,
                          place != nullptr ? "segment is shorter than an extent of it"
                                           : fmt::format("segment {} is in no readable pack", segment.hex()),
                          place == nullptr && has_unread_packs_);
    }
    lose(known->second, walked_, {lba, BlockCount{extent.block_count}});
    return false;
  }
  if (bad_packs_.empty() && !faults_.contains(segment) && !absent_.contains(segment)) return true;
  SegmentBlocks lost = block_set(extent.first_block, extent.block_count);
  note_sound_copies(places, lost);
  for (const SegmentPlace& each : places) lost &= lost_at(each);
  if (lost.none()) return true;
  SegmentBlocks dropped = lost;
  for (const SegmentPlace& each : places) {
    dropped &= absent_at(each);
    if (const auto bad = bad_packs_.find(each.pack); bad != bad_packs_.end())
      lose_blocks(bad->second, lost, extent, lba);
    for (const LostBlocks& blocks : faults_at(each))
      lose_blocks(blocks.damage, lost & block_set(blocks.first, blocks.count), extent, lba);
  }
  if (dropped.any()) lose_blocks(damage_of_missing(segment), dropped, extent, lba);
  return false;
}

// Returns the damage of a segment of which no pack holds all blocks that are needed.
std::size_t Losses::damage_of_missing(const SegmentId& segment) {
  const auto [known, added] = missing_.try_emplace(segment, 0);
  if (added)
    known->second = add("packs/", segment, std::nullopt,
                        fmt::format("blocks of segment {} are in no pack", segment.hex()));
  return known->second;
}

// Names, for each damage of a place, the packs in which the blocks of an extent that it hits are sound.
void Losses::note_sound_copies(const std::vector<SegmentPlace>& places, const SegmentBlocks& wanted) {
  for (const SegmentPlace& place : places) {
    if (const auto bad = bad_packs_.find(place.pack); bad != bad_packs_.end())
      note_sound_copies(bad->second, places, wanted);
    for (const LostBlocks& blocks : faults_at(place))
      note_sound_copies(blocks.damage, places, wanted & block_set(blocks.first, blocks.count));
  }
}
void Losses::note_sound_copies(std::size_t damage, const std::vector<SegmentPlace>& places,
                               const SegmentBlocks& hit) {
  for (const SegmentPlace& place : places) {
    if ((hit & ~lost_at(place)).any()) damages_[damage].sound_in.insert(place.pack);
  }
}

void Losses::forget() {
  damages_.clear();
  bad_nodes_.clear();
  missing_.clear();
  clean_.clear();
}

Result<std::vector<Damage>> Losses::take() {
  TRY(name_users(parts_.objects, damages_));
  std::stable_sort(damages_.begin(), damages_.end(),
                   [](const Damage& a, const Damage& b) { return a.object < b.object; });
  return std::move(damages_);
}

namespace {

std::string text_of(bool is_lost) { return is_lost ? "was given up as lost" : "was found damaged"; }

PackFault recorded_fault(const DamageRecord& record, bool is_lost) {
  PackFault fault;
  fault.object = pack_key(record.kind, record.pack);
  fault.what = text_of(is_lost);
  fault.is_wrong = true;
  return fault;
}

}  // namespace

void Losses::note_recorded(const DamageRecord& record) {
  if (record.is_whole) note(record.pack, recorded_fault(record, record.is_given_up));
  for (const auto& [id, damage] : record.segments) note_recorded(record, id, damage);
  for (const auto& [id, state] : record.nodes) {
    PackFault fault = recorded_fault(record, state == NodeDamage::kLost);
    fault.node = id;
    note(record.pack, fault);
  }
}

// Which blocks a frame holds is in the directory. One that can't be read leaves none of the segment.
void Losses::note_recorded(const DamageRecord& record, const SegmentId& id, const SegmentDamage& damage) {
  std::shared_ptr<const LocatedSegment> segment;
  if (const auto places = parts_.index.segment_places(id); places.ok() && !damage.damaged.all()) {
    const auto place = std::ranges::find(places.value(), record.pack, &SegmentPlace::pack);
    if (place != places.value().end()) {
      auto located = segments_.locate_at(*place);
      if (located.ok()) segment = located.take();
    }
  }
  PackFault fault = recorded_fault(record, damage.lost.any());
  fault.segment = id;
  if (!segment) {
    fault.count = kSegmentBlocks;
    note(record.pack, fault);
    return;
  }
  for (std::uint32_t frame = 0; frame < segment->directory.frames.size(); ++frame) {
    if (!damage.damaged[frame]) continue;
    fault.frame = frame;
    fault.first = segment->frame_first_block[frame];
    fault.count = segment->directory.frames[frame].block_count;
    fault.what = text_of(damage.lost[frame]);
    note(record.pack, fault);
  }
}

// A directory that can't be read, and was not checked now, gives nothing to rely on.
Status Losses::look_at_other_places() {
  std::set<SegmentId> ids;
  for (const auto& [id, faults] : faults_) ids.insert(id);
  for (const auto& [pack, damage] : bad_packs_) {
    for (const SegmentEntry& entry : TRY(parts_.index.pack_segments(pack))) ids.insert(entry.id);
  }
  for (const SegmentId& id : ids) {
    for (const SegmentPlace& place : TRY(parts_.index.segment_places(id))) {
      const auto segment = segments_.locate_at(place);
      if (segment.ok()) {
        absent_[id][place.pack] |= ~segment.value()->present;
      } else if (says_lost(segment.error())) {
        absent_[id][place.pack] = ~SegmentBlocks();
      } else {
        return segment.error();
      }
    }
  }
  return {};
}

}  // namespace ashlar
