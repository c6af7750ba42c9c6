// The order of a bundle's segments, and where a stream of them may be cut, so that bundles of different
// images of a store consist of the same pieces as far as they can (docs/decisions/oci-artifacts.md).
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/id.h"

namespace ashlar {

// A segment that goes out. They go in this order, as they lie in the packs: the order of two segments is the
// same in every bundle, until a compaction writes one of them into another pack.
struct BundleSegment {
  PackId pack;
  std::uint64_t offset = 0;
  SegmentId id;
  std::uint32_t blocks = 0;
  friend auto operator<=>(const BundleSegment&, const BundleSegment&) = default;
};

// Cuts between packs, and before 1 of 8 segments, which one its id says. Within a level these depend on
// nothing else in the row, so one more segment changes what lies between two cuts and no more.
//
// The level depends on the length of the row: where more than kMostCuts are expected, every second of them is
// left, then every fourth, …. Of two rows to both sides of such a step three quarters of the bytes lie in
// different pieces. With packs of 40 segments the first step comes at 80,000 segments (300 GiB of data), the
// second one at 105,000, and each further one at twice as many.
class BundleCuts {
 public:
  // On average, as ids are random; with the cuts that the largest size of a part makes, few enough for
  // kMaxOciParts. Coarser cuts leave longer pieces, of which more have to be cut by size.
  static constexpr std::size_t kMostCuts = 12'000;
  static constexpr std::size_t kMostCoarseCuts = 8'000;

  explicit BundleCuts(const std::vector<BundleSegment>& row);
  bool between(const BundleSegment& one, const BundleSegment& next) const;

 private:
  unsigned level_ = 0;
};

}  // namespace ashlar
