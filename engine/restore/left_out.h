// LeftOut: a range of a snapshot that a restore left out because its bytes can't be had, and why.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

enum class LossCause : unsigned char {
  kSource,  // UNREADABLE: the source could not be read when the snapshot was taken
  kDamage,  // damaged, given up as lost, or in no pack of the store
  kDisk,    // the store's disk fails to read it (EIO)
};
// Returns a phrase for messages, such as "damaged or missing in the store".
std::string_view loss_cause_text(LossCause cause);
// Returns why the store can't give bytes that a read failed with; nothing for an error that is not one, such
// as too few descriptors: the bytes may be sound.
std::optional<LossCause> loss_cause(const Error& error);

struct LeftOut {
  BlockRange range;
  LossCause cause = LossCause::kDamage;
  friend bool operator==(const LeftOut&, const LeftOut&) = default;
};

// Returns the ranges in ascending order, adjacent ones of one cause joined. They do not overlap.
std::vector<LeftOut> join_adjacent(std::vector<LeftOut> ranges);

// Answers which blocks were left out. Any number of threads.
class LeftOutBlocks {
 public:
  // Takes what join_adjacent() returns.
  explicit LeftOutBlocks(const std::vector<LeftOut>& ranges);
  // Returns whether all blocks of a range that is not empty were left out.
  bool cover(BlockRange range) const;

 private:
  std::vector<BlockRange> ranges_;  // ascending, none adjacent to the next
};

}  // namespace ashlar
