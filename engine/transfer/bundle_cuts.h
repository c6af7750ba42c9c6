// BundleCuts: the order of a bundle's segments, and where a stream of them may be cut, so that bundles of
// different images of a store consist of the same pieces as far as possible
// (docs/decisions/oci-artifacts.md).
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "base/id.h"

namespace ashlar {

// A segment that is exported. Segments are exported in this order, which is their order in the packs: it is
// the same in every bundle until a compaction moves one of them into another pack.
struct BundleSegment {
  PackId pack;
  std::uint64_t offset = 0;
  SegmentId id;
  std::uint32_t blocks = 0;
  friend auto operator<=>(const BundleSegment&, const BundleSegment&) = default;
};

// Cuts between packs, and before 1 of 8 segments, chosen by its id. Within a level a cut depends on no other
// segment of the row, so an additional segment changes only the piece between two cuts.
//
// The level depends on the length of the row: when more than kMostCuts cuts are expected, every second one is
// kept, then every fourth, and so on. Between two rows on different sides of such a step, three quarters of
// the bytes lie in different pieces. With packs of 40 segments the first step comes at 80,000 segments (300
// GiB of data), the second at 105,000, and each further one at twice as many.
class BundleCuts {
 public:
  // The average number, as ids are random. Together with the cuts that the largest size of a part makes, it
  // stays below kMaxOciParts. Coarser cuts leave longer pieces, more of which have to be cut by size; hence
  // the lower limit.
  static constexpr std::size_t kMostCuts = 12'000;
  static constexpr std::size_t kMostCoarseCuts = 8'000;

  explicit BundleCuts(const std::vector<BundleSegment>& row);
  // Returns whether the stream may be cut between two neighbours of the row.
  bool between(const BundleSegment& one, const BundleSegment& next) const;

 private:
  unsigned level_ = 0;
};

}  // namespace ashlar
