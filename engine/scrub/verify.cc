#include "scrub/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/parallel.h"
#include "manifest/store_block_marks.h"
#include "manifest/subtree.h"
#include "manifest/tree.h"
#include "scrub/pack_check.h"
#include "scrub/record_check.h"
#include "scrub/record_findings.h"
#include "scrub/snapshot_names.h"
#include "scrub/trace_check.h"
#include "store/segments.h"

namespace ashlar {
namespace {

// The segments and nodes that a walk over one snapshot, or over all, needs.
struct Needs {
  std::unordered_set<SegmentId, IdHash> segments;
  std::unordered_set<NodeId, IdHash> nodes;
};

// A node together with the range that it covers: under another digest, or over fewer blocks, the same node
// may be damage.
struct CleanNode {
  NodeId id;
  ContentDigest digest;
  std::uint8_t level = 0;
  std::uint64_t blocks = 0;
  friend bool operator==(const CleanNode&, const CleanNode&) = default;
};
struct CleanNodeHash {
  std::size_t operator()(const CleanNode& node) const { return node.id.prefix(); }
};

class Verifier {
 public:
  Verifier(const VerifyParts& parts, VerifyProgress& progress, const std::stop_token& stop)
      : parts_(parts),
        progress_(progress),
        stop_(stop),
        nodes_(parts.objects, parts.index),
        segments_(parts.objects, parts.index) {}

  // Verifies the store while captures and deletes run. The order makes that safe: the snapshots are listed
  // first, then the index catches up, then the packs are listed, so all objects that a snapshot needs are
  // known when it is walked. A snapshot that is gone by then was purged; one in the bin can come back.
  Result<VerifyReport> all() {
    const std::vector<SnapshotId> ids = TRY(parts_.snapshots.list_ids());
    TRY(parts_.index.catch_up());
    const auto data = TRY(list_packs(parts_.objects, PackKind::kData));
    const auto meta = TRY(list_packs(parts_.objects, PackKind::kMeta));
    for (const auto* packs : {&data, &meta}) {
      for (const ListedPack& pack : *packs) progress_.total_bytes += pack.bytes;
    }
    TRY(check_damage_records());
    TRY(check_packs(PackKind::kMeta, ids_of(meta), nullptr));
    TRY(check_packs(PackKind::kData, ids_of(data), nullptr));
    for (const SnapshotId id : ids) {
      const auto object = parts_.snapshots.read(id);
      if (is(object, ErrorCode::kNotFound)) continue;
      if (!object.ok()) {
        note_record(id, object.error());
      } else if (const SnapshotRecord* record = record_of(object.value())) {
        TRY(walk_snapshot(*record, nullptr));
      }
    }
    std::vector<RecordFault> faults = TRY(check_records(parts_.objects));
    for (RecordFault& fault : TRY(check_traces(parts_.objects))) faults.push_back(std::move(fault));
    for (RecordFault& fault : faults)
      add_damage(std::move(fault.object), std::nullopt, std::nullopt, std::move(fault.what), fault.is_unread);
    return finish();
  }

  Result<VerifyReport> one(SnapshotId id) {
    const SnapshotRecord record = TRY(parts_.snapshots.get(id));
    // The first walk collects what the snapshot needs, then the packs are checked, and a second walk finds
    // the blocks that the faults hit.
    Needs needs;
    TRY(walk_snapshot(record, &needs));
    forget();
    std::set<PackId> data;
    std::set<PackId> meta;
    for (const SegmentId& segment : needs.segments) {
      for (const SegmentPlace& place : TRY(parts_.index.segment_places(segment))) {
        data.insert(place.pack);
        progress_.total_bytes += std::uint64_t{place.entry.directory_bytes} + place.entry.payload_bytes;
      }
    }
    for (const NodeId& node : needs.nodes) {
      for (const NodePlace& place : TRY(parts_.index.node_places(node))) {
        meta.insert(place.pack);
        progress_.total_bytes += place.entry.bytes;
      }
    }
    TRY(load_damage());
    TRY(check_packs(PackKind::kMeta, {meta.begin(), meta.end()}, &needs));
    TRY(check_packs(PackKind::kData, {data.begin(), data.end()}, &needs));
    TRY(walk_snapshot(record, nullptr));
    return finish();
  }

 private:
  struct LostBlocks {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::size_t damage = 0;
  };

  static std::vector<PackId> ids_of(const std::vector<ListedPack>& packs) {
    std::vector<PackId> ids;
    ids.reserve(packs.size());
    for (const ListedPack& pack : packs) ids.push_back(pack.id);
    return ids;
  }

  // Loads what is recorded. A record that can't be read just now hinders no check.
  Status load_damage() {
    const Status loaded = parts_.damage.refresh();
    if (!loaded.ok())
      add_damage(std::string(DamageCatalog::kFolder), std::nullopt, std::nullopt, loaded.error().text(),
                 true);
    return {};
  }

  // Checks the records of damage. One whose pack is gone is removed: a collection was cut off before it did
  // so. One that is damaged itself is made anew by the check of its pack.
  Status check_damage_records() {
    TRY(load_damage());
    DamageCatalog& records = parts_.damage.catalog();
    const auto ids = records.list_ids();
    if (!ids.ok()) return {};  // said by load_damage()
    for (const PackId& pack : ids.value()) {
      const auto is_gone = [&](PackKind kind) {
        return is(parts_.objects.stat(pack_key(kind, pack)), ErrorCode::kNotFound);
      };
      if (is_gone(PackKind::kData) && is_gone(PackKind::kMeta)) {
        best_effort(records.remove(pack));
        continue;
      }
      const auto record = records.find(pack);
      if (!record.ok())
        add_damage(DamageCatalog::key_of(pack), std::nullopt, std::nullopt, record.error().text(),
                   !says_damage(record.error()));
    }
    return {};
  }

  Status check_packs(PackKind kind, const std::vector<PackId>& packs, const Needs* needs) {
    std::mutex mutex;
    return parallel_for(packs.size(), processor_count(), stop_, [&](std::size_t i) -> Status {
      PackTally tally;
      CheckedPack checked{kind, packs[i], needs == nullptr, {}, {}, {}};
      kind == PackKind::kData ? check_data(needs, checked, tally) : check_meta(needs, checked, tally);
      auto sound_again = record_findings(parts_.damage, checked);
      const std::lock_guard lock(mutex);
      ++report_.packs;
      report_.segments += tally.segments;
      report_.blocks += tally.blocks;
      report_.nodes += tally.nodes;
      report_.bytes_read += ByteCount{tally.bytes};
      for (const PackFault& fault : checked.faults) note_fault(packs[i], fault);
      if (!sound_again.ok()) {
        report_.unrecorded.push_back(sound_again.error().text());
      } else {
        for (SoundAgain& sound : sound_again.value()) report_.sound_again.push_back(std::move(sound));
      }
      return {};
    });
  }

  void check_data(const Needs* needs, CheckedPack& checked, PackTally& tally) {
    DataPackCheck check{parts_.objects, checked.pack, nullptr,
                        [this](std::uint64_t bytes) { progress_.done_bytes += bytes; },
                        [&](const SegmentId& id) { checked.segments.push_back(id); }};
    if (needs != nullptr)
      check.wanted = [needs](const SegmentId& id) { return needs->segments.contains(id); };
    checked.faults = check_data_pack(check, tally);
  }

  void check_meta(const Needs* needs, CheckedPack& checked, PackTally& tally) {
    MetaPackCheck check{parts_.objects, checked.pack, nullptr,
                        [this](std::uint64_t bytes) { progress_.done_bytes += bytes; },
                        [&](const NodeId& id) { checked.nodes.push_back(id); }};
    if (needs != nullptr) check.wanted = [needs](const NodeId& id) { return needs->nodes.contains(id); };
    checked.faults = check_meta_pack(check, tally);
  }

  // Records a fault. Data is lost only when every place of a segment or a node has a fault, because reads try
  // them all; a fault in one of several is damage without loss.
  void note_fault(const PackId& pack, const PackFault& fault) {
    if (fault.is_absent) {
      absent_[*fault.segment][pack] |= block_set(fault.first, fault.count);
      return;
    }
    const std::size_t damage =
        add_damage(fault.object, fault.segment, fault.frame, fault.what, fault.is_unread);
    if (fault.node) node_faults_[*fault.node].emplace(pack, damage);
    if (fault.segment) faults_[*fault.segment][pack].push_back({fault.first, fault.count, damage});
    if (!fault.segment && !fault.node) {
      bad_packs_.emplace(pack, damage);
      has_unread_packs_ = has_unread_packs_ || fault.is_unread;
    }
  }

  std::size_t add_damage(std::string object, std::optional<SegmentId> segment,
                         std::optional<std::uint32_t> frame, std::string what, bool is_unread = false) {
    report_.damages.push_back({std::move(object), segment, frame, std::move(what), is_unread, {}, {}});
    return report_.damages.size() - 1;
  }

  void lose(std::size_t damage, SnapshotId snapshot, BlockRange range) {
    auto& losses = report_.damages[damage].losses;
    if (losses.empty() || losses.back().snapshot != snapshot) losses.push_back({snapshot, {}, {}, {}});
    auto& ranges = losses.back().ranges;
    if (!ranges.empty() && ranges.back().end() == range.first) {
      ranges.back().count += range.count;
    } else if (range.count.value > 0) {
      ranges.push_back(range);
    }
  }

  void note_record(SnapshotId id, const Error& error) {
    ++report_.snapshots;
    const std::size_t damage = add_damage(SnapshotCatalog::key_of(id), std::nullopt, std::nullopt,
                                          error.text(), !says_damage(error));
    report_.damages[damage].losses.push_back({id, {}, {}, {}});
  }

  Status walk_snapshot(const SnapshotRecord& snapshot, Needs* needs) {
    if (stop_.stop_requested()) return cancelled();
    ++report_.snapshots;
    if (snapshot.store != parts_.config.id) {
      add_damage(SnapshotCatalog::key_of(snapshot.id), std::nullopt, std::nullopt,
                 "the record belongs to another store");
    }
    walked_ = snapshot.id;
    volume_ = blocks_covering(snapshot.size);
    TRY(walk(snapshot.root, snapshot.root_level, 0, needs));
    return {};
  }

  // Walks subtree `index` of `level`. Returns whether it is sound, so that a subtree that many snapshots
  // share is walked once.
  Result<bool> walk(const NodeRef& ref, std::uint8_t level, std::uint64_t index, Needs* needs) {
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
  Result<std::vector<std::size_t>> damages_of(const NodeId& id) {
    std::vector<std::size_t> damages;
    const auto faults = node_faults_.find(id);
    if (faults == node_faults_.end() && bad_packs_.empty()) return damages;
    std::optional<PackId> sound;
    for (const NodePlace& place : TRY(parts_.index.node_places(id))) {
      const std::size_t before = damages.size();
      if (const auto bad = bad_packs_.find(place.pack); bad != bad_packs_.end())
        damages.push_back(bad->second);
      if (faults != node_faults_.end()) {
        if (const auto fault = faults->second.find(place.pack); fault != faults->second.end())
          damages.push_back(fault->second);
      }
      if (damages.size() == before) sound = place.pack;
    }
    if (!sound) return damages;
    for (const std::size_t damage : damages) report_.damages[damage].sound_in.insert(*sound);
    return std::vector<std::size_t>();
  }

  Result<bool> walk_inner(const NodeRef& ref, std::uint8_t level, std::uint64_t index, BlockCount blocks,
                          Needs* needs) {
    if (stop_.stop_requested()) return cancelled();
    const auto node = load_inner(nodes_, ref, level, blocks);
    if (!node.ok()) return lose_node(ref, node.error(), {Lba{index * blocks_below(level).value}, blocks});
    bool sound = true;
    for (std::size_t child = 0; child < node.value()->children.size(); ++child) {
      const bool child_sound = TRY(walk(node.value()->children[child], static_cast<std::uint8_t>(level - 1),
                                        index * kFanout + child, needs));
      sound = sound && child_sound;
    }
    if (sound) clean_.insert({ref.id, ref.digest, level, blocks.value});
    return sound;
  }

  Result<bool> walk_leaf(const NodeRef& ref, Lba first, BlockCount blocks, Needs* needs) {
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

  Result<bool> lose_node(const NodeRef& ref, const Error& error, BlockRange range) {
    if (error.code() == ErrorCode::kCancelled) return cancelled();
    const auto [known, added] = bad_nodes_.try_emplace(ref.id, 0);
    if (added) {
      const auto place = TRY(parts_.index.find_node(ref.id));
      known->second = add_damage(place ? pack_key(PackKind::kMeta, place->pack) : "meta/", std::nullopt,
                                 std::nullopt, error.text(), !says_damage(error));
    }
    lose(known->second, walked_, range);
    return false;
  }

  // Returns the blocks of a segment that a place does not have.
  SegmentBlocks lost_at(const SegmentPlace& place) const {
    if (bad_packs_.contains(place.pack)) return ~SegmentBlocks();
    SegmentBlocks lost;
    for (const LostBlocks& blocks : faults_at(place)) lost |= block_set(blocks.first, blocks.count);
    return lost | absent_at(place);
  }

  SegmentBlocks absent_at(const SegmentPlace& place) const {
    const auto segment = absent_.find(place.entry.id);
    if (segment == absent_.end()) return {};
    const auto found = segment->second.find(place.pack);
    return found == segment->second.end() ? SegmentBlocks() : found->second;
  }

  const std::vector<LostBlocks>& faults_at(const SegmentPlace& place) const {
    static const std::vector<LostBlocks> kNone;
    const auto faults = faults_.find(place.entry.id);
    if (faults == faults_.end()) return kNone;
    const auto found = faults->second.find(place.pack);
    return found == faults->second.end() ? kNone : found->second;
  }

  // Reports the blocks of an extent that are in `lost`.
  void lose_blocks(std::size_t damage, const SegmentBlocks& lost, const LeafExtent& extent, Lba lba) {
    for (std::uint32_t i = 0; i < extent.block_count; ++i) {
      if (lost[extent.first_block + i]) lose(damage, walked_, {lba + BlockCount{i}, BlockCount{1}});
    }
  }

  // Returns whether the blocks of an extent can be read: its segment is in a pack, and each of them is
  // without a fault in one of its places. What is lost is reported with the faults of all places.
  Result<bool> check_extent(const SegmentId& segment, const LeafExtent& extent, Lba lba) {
    const auto places = TRY(parts_.index.segment_places(segment));
    const SegmentPlace* place = places.empty() ? nullptr : &places.front();
    if (place == nullptr || place->entry.block_count < extent.first_block + extent.block_count) {
      const auto [known, added] = missing_.try_emplace(segment, 0);
      if (added) {
        known->second =
            add_damage("packs/", segment, std::nullopt,
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
  std::size_t damage_of_missing(const SegmentId& segment) {
    const auto [known, added] = missing_.try_emplace(segment, 0);
    if (added)
      known->second = add_damage("packs/", segment, std::nullopt,
                                 fmt::format("blocks of segment {} are in no pack", segment.hex()));
    return known->second;
  }

  // Names, for each damage of a place, the packs in which the blocks of an extent that it hits are sound.
  void note_sound_copies(const std::vector<SegmentPlace>& places, const SegmentBlocks& wanted) {
    for (const SegmentPlace& place : places) {
      if (const auto bad = bad_packs_.find(place.pack); bad != bad_packs_.end())
        note_sound_copies(bad->second, places, wanted);
      for (const LostBlocks& blocks : faults_at(place))
        note_sound_copies(blocks.damage, places, wanted & block_set(blocks.first, blocks.count));
    }
  }
  void note_sound_copies(std::size_t damage, const std::vector<SegmentPlace>& places,
                         const SegmentBlocks& hit) {
    for (const SegmentPlace& place : places) {
      if ((hit & ~lost_at(place)).any()) report_.damages[damage].sound_in.insert(place.pack);
    }
  }

  void forget() {
    report_ = {};
    bad_nodes_.clear();
    missing_.clear();
    clean_.clear();
  }

  Result<VerifyReport> finish() {
    TRY(name_users(parts_.objects, report_.damages));
    std::stable_sort(report_.damages.begin(), report_.damages.end(),
                     [](const Damage& a, const Damage& b) { return a.object < b.object; });
    return std::move(report_);
  }

  const VerifyParts& parts_;
  VerifyProgress& progress_;
  const std::stop_token& stop_;
  MetaStore nodes_;
  SegmentReader segments_;
  StoreBlockMarks block_marks_{segments_};
  VerifyReport report_;

  std::unordered_map<SegmentId, std::map<PackId, std::vector<LostBlocks>>, IdHash> faults_;
  // Blocks whose frames are absent.
  std::unordered_map<SegmentId, std::map<PackId, SegmentBlocks>, IdHash> absent_;
  std::unordered_map<NodeId, std::map<PackId, std::size_t>, IdHash>
      node_faults_;  // value: index of the damage
  // Value: index of the damage that names the node.
  std::unordered_map<NodeId, std::size_t, IdHash> bad_nodes_;
  std::unordered_map<SegmentId, std::size_t, IdHash> missing_;
  std::map<PackId, std::size_t> bad_packs_;
  bool has_unread_packs_ = false;  // a segment that is in no other pack may be in one of them
  // Nodes that are sound, including everything under them.
  std::unordered_set<CleanNode, CleanNodeHash> clean_;
  SnapshotId walked_;
  BlockCount volume_;
};

}  // namespace

std::size_t VerifyReport::damaged() const {
  return static_cast<std::size_t>(std::ranges::count(damages, false, &Damage::is_unread));
}

Result<VerifyReport> verify_all(const VerifyParts& parts, VerifyProgress& progress,
                                const std::stop_token& stop) {
  return Verifier(parts, progress, stop).all();
}

Result<VerifyReport> verify_snapshot(const VerifyParts& parts, SnapshotId id, VerifyProgress& progress,
                                     const std::stop_token& stop) {
  return Verifier(parts, progress, stop).one(id);
}

}  // namespace ashlar
