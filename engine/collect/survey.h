// Survey: how much of each pack is needed, and by which frames and nodes.
//
// A block that several packs hold is needed once: in the pack that holds the most of what is needed of its
// segment. So of two packs with the same blocks one can be freed; before that happens, StillNeeded reads the
// other one.
//
// Internal to the module.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <stop_token>
#include <vector>

#include "base/pace.h"
#include "collect/collection_plan.h"
#include "collect/liveness.h"
#include "index/index.h"

namespace ashlar {

class Survey {
 public:
  // `live` must be complete.
  Survey(ObjectStore& objects, Index& index, SegmentReader& segments, const DamagedFrames& damage,
         const Liveness& live, Pace& pace)
      : objects_(objects), index_(index), segments_(segments), damage_(damage), live_(live), pace_(pace) {}

  // Returns how much of a pack is needed. A pack that is gone, or damaged, is marked so. Any thread.
  Result<PackUse> use_of(const PackName& pack, std::uint64_t bytes, const std::stop_token& stop);

  // Returns whether all that is needed is in packs that can be read whole, in none of these, and in no place
  // that is known to be damaged. Then what a pack holds whose ends are damaged is not needed.
  Result<bool> is_all_outside(const std::set<PackId>& packs, const std::stop_token& stop);

  // Returns the blocks that are needed of a segment in the pack `place` lies in, as whole frames. Any thread.
  Result<SegmentBlocks> needed(const LocatedSegment& segment);
  // Returns whether the node is needed in this pack. Any thread.
  Result<bool> is_needed(const NodeId& node, const PackId& pack);

 private:
  using Shares = std::map<PackId, SegmentBlocks>;

  Result<PackUse> use_of_data(PackUse use, const std::stop_token& stop);
  Result<PackUse> use_of_meta(PackUse use, const std::stop_token& stop);
  Result<bool> is_outside(const SegmentId& id, const std::set<PackId>& packs);
  Result<bool> is_outside(const NodeId& id, const std::set<PackId>& packs);
  Result<Shares> share_out(const SegmentId& id, const SegmentBlocks& live);

  ObjectStore& objects_;
  Index& index_;
  SegmentReader& segments_;
  const DamagedFrames& damage_;
  const Liveness& live_;
  Pace& pace_;
  std::mutex mutex_;
  std::map<SegmentId, Shares> shared_;  // of segments with several places
};

// Returns the blocks of the frames that hold at least one of `blocks`.
SegmentBlocks whole_frames(const LocatedSegment& segment, const SegmentBlocks& blocks);

}  // namespace ashlar
