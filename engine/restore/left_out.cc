#include "restore/left_out.h"

#include <algorithm>
#include <cerrno>

#include "store/place_errors.h"

namespace ashlar {

std::string_view loss_cause_text(LossCause cause) {
  switch (cause) {
    case LossCause::kSource:
      return "could not be read when the snapshot was taken";
    case LossCause::kDamage:
      return "damaged or missing in the store";
    case LossCause::kDisk:
      return "the disk of the store can't read it";
  }
  return {};
}

std::optional<LossCause> loss_cause(const Error& error) {
  if (says_lost(error)) return LossCause::kDamage;
  if (error.error_number() == EIO) return LossCause::kDisk;
  return std::nullopt;
}

std::vector<LeftOut> join_adjacent(std::vector<LeftOut> ranges) {
  std::ranges::sort(ranges, {}, [](const LeftOut& left_out) { return left_out.range.first; });
  std::vector<LeftOut> joined;
  for (const LeftOut& next : ranges) {
    if (!joined.empty() && joined.back().range.end() == next.range.first &&
        joined.back().cause == next.cause) {
      joined.back().range.count += next.range.count;
    } else {
      joined.push_back(next);
    }
  }
  return joined;
}

LeftOutBlocks::LeftOutBlocks(const std::vector<LeftOut>& ranges) {
  for (const LeftOut& next : ranges) {
    if (!ranges_.empty() && ranges_.back().end() == next.range.first) {
      ranges_.back().count += next.range.count;
    } else {
      ranges_.push_back(next.range);
    }
  }
}

bool LeftOutBlocks::cover(BlockRange range) const {
  const auto after = std::ranges::upper_bound(ranges_, range.first, {}, &BlockRange::first);
  return after != ranges_.begin() && std::prev(after)->end() >= range.end();
}

}  // namespace ashlar
