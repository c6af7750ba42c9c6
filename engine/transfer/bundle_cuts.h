// The order of a bundle's segments, and where a stream of them may be cut, so that bundles of different
// images of a store consist of the same pieces as far as they can (docs/decisions/oci-artifacts.md).
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/id.h"

namespace ashlar {

// A segment that goes out. They go in this order, as they lie in the packs: the order of two segments is the
// same in every bundle.
struct BundleSegment {
  PackId pack;
  std::uint64_t offset = 0;
  SegmentId id;
  std::uint32_t blocks = 0;
  friend auto operator<=>(const BundleSegment&, const BundleSegment&) = default;
};

// Cuts between packs, and before 1 of 8 segments, which one its id says. Neither depends on what else is in
// the row, so one more segment changes what lies between two cuts and no more. In a row that has more than
// kMostCuts of them, every second, fourth, … is left.
class BundleCuts {
 public:
  static constexpr std::size_t kMostCuts = 4096;  // on average: ids are random

  explicit BundleCuts(const std::vector<BundleSegment>& row);
  bool between(const BundleSegment& one, const BundleSegment& next) const;

 private:
  unsigned level_ = 0;
};

}  // namespace ashlar
