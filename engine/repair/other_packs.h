// Other packs: what the packs of a store, this one or another, hold of what is needed. Internal to the
// module.
#pragma once

#include <stop_token>

#include "index/index.h"
#include "repair/healing.h"
#include "store/segments.h"

namespace ashlar {

// A store to take from.
struct HealingStore {
  ObjectStore& objects;
  Index& index;  // caught up
  SegmentReader& segments;
  bool is_copy = false;  // of the same store: records of snapshots can be put back from it
};

// Offers nodes and segments of the same ids, then single blocks that lie in any other segment. The last looks
// through the directories of all packs. What can't be read is left out: another source may have it.
Status offer_packs(Healing& healing, const HealingStore& from, const std::stop_token& stop);
// Does the last step for the packs of one session.
Status offer_packs_of(Healing& healing, const HealingStore& from, const SessionId& session,
                      const std::stop_token& stop);

}  // namespace ashlar
