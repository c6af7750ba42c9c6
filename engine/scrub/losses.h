// Losses: what is lost with the faults that checks found. Faults are noted first; then a walk over the trees
// of the snapshots charges each to the snapshots and block ranges that need the damaged part. Internal to the
// module.
//
// Data is lost only when every place of a segment or a node has a fault, because reads try them all; a fault
// in one of several is damage without loss. One thread.
#pragma once

#include <map>
#include <stop_token>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "catalog/snapshots.h"
#include "manifest/store_block_marks.h"
#include "scrub/pack_check.h"
#include "scrub/verify.h"
#include "store/meta_store.h"
#include "store/segments.h"

namespace ashlar {

// The segments and nodes that a walk over one snapshot, or over all, needs.
struct NeededParts {
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

class Losses {
 public:
  Losses(const VerifyParts& parts, const std::stop_token& stop)
      : parts_(parts),
        stop_(stop),
        nodes_(parts.objects, parts.index),
        segments_(parts.objects, parts.index) {}

  // Notes a fault of a pack.
  void note(const PackId& pack, const PackFault& fault);
  // Notes all that a record says of a pack.
  void note_recorded(const DamageRecord& record);
  // Adds damage of another kind and returns its number.
  std::size_t add(std::string object, std::optional<SegmentId> segment, std::optional<std::uint32_t> frame,
                  std::string what, bool is_unread = false);
  // Adds a snapshot whose record can't be read.
  void add_snapshot(SnapshotId id, const Error& error);
  bool any() const { return !damages_.empty(); }

  // Looks which blocks the other places of faulty segments do not have. Needed before a walk unless every
  // pack was checked.
  Status look_at_other_places();
  // Walks a snapshot. With `needs` it collects what the snapshot needs as well, and does not compare the
  // digests of leaves with the block ids.
  Status walk(const SnapshotRecord& snapshot, NeededParts* needs = nullptr);
  // Forgets what walks have found.
  void forget();

  // Returns the damages with the images and volumes that they touch, sorted by object.
  Result<std::vector<Damage>> take();

 private:
  struct LostBlocks {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::size_t damage = 0;
  };

  void lose(std::size_t damage, SnapshotId snapshot, BlockRange range);
  Result<bool> walk_subtree(const NodeRef& ref, std::uint8_t level, std::uint64_t index, NeededParts* needs);
  Result<std::vector<std::size_t>> damages_of(const NodeId& id);
  Result<bool> walk_inner(const NodeRef& ref, std::uint8_t level, std::uint64_t index, BlockCount blocks,
                          NeededParts* needs);
  Result<bool> walk_leaf(const NodeRef& ref, Lba first, BlockCount blocks, NeededParts* needs);
  Result<bool> lose_node(const NodeRef& ref, const Error& error, BlockRange range);
  SegmentBlocks lost_at(const SegmentPlace& place) const;
  SegmentBlocks absent_at(const SegmentPlace& place) const;
  const std::vector<LostBlocks>& faults_at(const SegmentPlace& place) const;
  void lose_blocks(std::size_t damage, const SegmentBlocks& lost, const LeafExtent& extent, Lba lba);
  Result<bool> check_extent(const SegmentId& segment, const LeafExtent& extent, Lba lba);
  std::size_t damage_of_missing(const SegmentId& segment);
  void note_sound_copies(const std::vector<SegmentPlace>& places, const SegmentBlocks& wanted);
  void note_sound_copies(std::size_t damage, const std::vector<SegmentPlace>& places,
                         const SegmentBlocks& hit);
  void note_recorded(const DamageRecord& record, const SegmentId& id, const SegmentDamage& damage);

  const VerifyParts& parts_;
  const std::stop_token& stop_;
  MetaStore nodes_;
  SegmentReader segments_;
  StoreBlockMarks block_marks_{segments_};
  std::vector<Damage> damages_;

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

}  // namespace ashlar
