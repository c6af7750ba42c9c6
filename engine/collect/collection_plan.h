// CollectionPlan: what a collection does with each pack, decided from how much of each is needed. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "format/collection_record.h"

namespace ashlar {

// A pack, and how much of it is needed.
struct PackUse {
  PackName pack;
  std::uint64_t bytes = 0;
  // The size of a pack with only the needed frames, or nodes; 0 when none is needed.
  std::uint64_t live_bytes = 0;
  bool may_be_resumed = false;  // its session has stopped halfway, and no collection has passed over it yet
  bool is_damaged = false;      // it can't be judged, or needed parts of it are damaged wherever they are
  bool is_unreadable = false;   // for is_damaged: its ends or directories are damaged
  bool has_damage = false;      // parts of it are damaged, and are sound elsewhere or not needed
  bool is_gone = false;         // it was removed meanwhile, and is no part of a plan
  bool is_open = false;         // its session is open: nothing more is known of it
};

enum class Verdict : unsigned char {
  kKeep,      // enough of it is needed
  kFree,      // nothing of it is needed
  kRewrite,   // what is needed moves to new packs: little of it is, or parts of the pack are damaged
  kPassOver,  // a run that was cut off may find it once more; the next collection judges it anew
  kDamaged,   // it can't be judged, or needed parts of it are damaged wherever they are
  kOpen,      // its writer is at work
};

struct PlannedPack {
  PackUse use;
  Verdict verdict = Verdict::kKeep;
};

struct CollectionPlan {
  std::vector<PlannedPack> packs;  // in the order of their names

  struct Sum {
    std::uint64_t packs = 0;
    std::uint64_t bytes = 0;
    std::uint64_t live_bytes = 0;
  };
  Sum sum(Verdict verdict) const;
  // Returns the bytes that the store gets smaller by.
  std::uint64_t freed_bytes() const;
};

// Packs of which less than `max_live_percent` is needed are rewritten; 0 rewrites none.
CollectionPlan plan_collection(std::vector<PackUse> packs, unsigned max_live_percent);

}  // namespace ashlar
