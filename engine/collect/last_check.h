// LastCheck: whether a condemned pack may be freed. It may when each needed block and node in it is in
// another pack that stays, and was read there and found right. It trusts neither the plan nor the rewriting.
// Internal to the module.
#pragma once

#include <set>
#include <stop_token>

#include "base/pace.h"
#include "collect/liveness.h"
#include "format/collection_record.h"
#include "index/index.h"

namespace ashlar {

class LastCheck {
 public:
  // `condemned` are the packs that do not stay.
  LastCheck(ObjectStore& objects, Index& index, const Liveness& live, const std::set<PackId>& condemned,
            Pace& pace)
      : objects_(objects),
        index_(index),
        segments_(objects, index),
        live_(live),
        condemned_(condemned),
        pace_(pace) {}

  // Returns whether nothing needs the pack any more. A pack that is gone counts as freed; one that can't be
  // read whole is needed unless everything that is needed at all is in other packs.
  Result<bool> may_be_freed(const PackName& pack, const std::stop_token& stop);

 private:
  Result<bool> data_is_elsewhere(const PackId& id, const std::stop_token& stop);
  Result<bool> nodes_are_elsewhere(const PackId& id, const std::stop_token& stop);
  Result<bool> all_is_elsewhere(const PackId& pack, const std::stop_token& stop);
  Result<bool> is_present(const std::vector<SegmentPlace>& places, SegmentBlocks wanted);
  Result<bool> is_elsewhere(const NodeId& id);
  Result<bool> is_elsewhere(const SegmentId& id, SegmentBlocks wanted, const std::stop_token& stop);
  Result<SegmentBlocks> sound_blocks(const LocatedSegment& segment, const SegmentBlocks& wanted,
                                     const std::stop_token& stop);

  ObjectStore& objects_;
  Index& index_;
  SegmentReader segments_;
  const Liveness& live_;
  const std::set<PackId>& condemned_;
  Pace& pace_;
};

}  // namespace ashlar
