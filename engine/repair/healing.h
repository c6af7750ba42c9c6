// Healing: collects what is needed as it is offered, checks it, and stores it in new packs. A segment keeps
// its id and the numbers of its blocks; what was not offered of it is absent in the new pack. Internal to the
// module.
//
// Memory: at most kHealingBytes of blocks. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

#include "document/store_config.h"
#include "repair/needs.h"
#include "store/pack_appender.h"

namespace ashlar {

inline constexpr std::uint64_t kHealingBytes = std::uint64_t{128} << 20;

class Healing {
 public:
  // Everything that is stored is taken out of `needs`, which outlives the healing. New packs are those of
  // `session`.
  Healing(ObjectStore& objects, Index& index, const StoreConfig& config, const SessionId& session,
          RepairNeeds& needs);
  ~Healing();

  bool is_done() const { return needs_.nodes.empty() && wanted_.empty() && !has_unknown(); }
  bool wants_blocks() const { return !wanted_.empty(); }
  // Returns whether a block with this id is needed.
  bool wants(const BlockId& id) const { return wanted_.contains(id); }
  // Returns what is needed of a segment; no blocks when nothing is.
  SegmentBlocks wanted(const SegmentId& id) const;
  std::vector<SegmentId> wanted_segments() const;
  const std::set<NodeId>& wanted_nodes() const { return needs_.nodes; }

  // Tells the block ids of a segment, which no directory of this store could: they have the segment's id.
  void learn(const SegmentId& id, const std::vector<BlockId>& blocks);
  // Takes a block (4096 bytes) if it is needed anywhere. `id` is its id.
  Status offer(const BlockId& id, ByteSpan block);
  // Takes a node, if it is needed and the encoding has its id.
  Status offer_node(const NodeId& id, ByteSpan encoding);
  // Notes that a source could not be read for a reason that is not damage: it may still have what is
  // needed.
  void doubt(const Error& error);
  const std::vector<Error>& doubts() const { return doubts_; }
  // Publishes what was taken.
  Status finish();

  std::uint64_t healed_blocks() const { return healed_blocks_; }
  std::uint64_t healed_nodes() const { return healed_nodes_; }

 private:
  using Draft = std::map<std::uint16_t, ByteVector>;  // by the number of the block

  bool has_unknown() const;
  void want(const SegmentId& id, const SegmentNeed& need);
  Status store(const SegmentId& id, const Draft& draft);
  Status store_drafts();

  ObjectStore& objects_;
  Index& index_;
  const StoreConfig& config_;
  const SessionId session_;
  RepairNeeds& needs_;
  FrameEncoder encoder_;
  PackAppender appender_;
  std::unique_ptr<MetaPackWriter> nodes_;
  std::unordered_map<BlockId, std::vector<std::pair<SegmentId, std::uint16_t>>, IdHash> wanted_;
  std::map<SegmentId, Draft> drafts_;
  std::uint64_t draft_bytes_ = 0;
  std::set<SegmentId> open_;   // segments in the open pack, which holds each once
  std::vector<Error> doubts_;  // the first few
  std::uint64_t healed_blocks_ = 0;
  std::uint64_t healed_nodes_ = 0;
};

}  // namespace ashlar
