// Record findings: brings the record of a pack's damage in line with what a check of the pack found. Internal
// to the module.
#pragma once

#include <vector>

#include "scrub/pack_check.h"
#include "scrub/verify.h"
#include "store/damaged_frames.h"

namespace ashlar {

struct CheckedPack {
  PackKind kind = PackKind::kData;
  PackId pack;
  bool is_complete = false;         // everything in the pack was checked
  std::vector<SegmentId> segments;  // those that were checked
  std::vector<NodeId> nodes;
  std::vector<PackFault> faults;
};

// Returns the record after the check: with the faults that are wrong bytes, and without what was checked and
// has no fault. What could not be read stays as it was. Adds what is taken out to `sound_again`.
DamageRecord after_check(DamageRecord record, const CheckedPack& checked,
                         std::vector<SoundAgain>& sound_again);

// Stores the findings, when they change something, and returns what was found sound again.
Result<std::vector<SoundAgain>> record_findings(DamagedFrames& damage, const CheckedPack& checked);

}  // namespace ashlar
