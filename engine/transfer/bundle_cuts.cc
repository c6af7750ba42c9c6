#include "transfer/bundle_cuts.h"

namespace ashlar {
namespace {

constexpr unsigned kSegmentBits = 3;

bool ends_in_zeros(std::uint64_t number, unsigned bits) {
  return (number & ((std::uint64_t{1} << bits) - 1)) == 0;
}

}  // namespace

BundleCuts::BundleCuts(const std::vector<BundleSegment>& row) {
  std::size_t packs = 0;
  for (std::size_t i = 1; i < row.size(); ++i) packs += row[i].pack == row[i - 1].pack ? 0 : 1;
  const auto expected = [&] { return (row.size() >> (kSegmentBits + level_)) + (packs >> level_); };
  while (expected() > (level_ == 0 ? kMostCuts : kMostCoarseCuts)) ++level_;
}

bool BundleCuts::between(const BundleSegment& one, const BundleSegment& next) const {
  if (one.pack != next.pack && ends_in_zeros(next.pack.prefix(), level_)) return true;
  return ends_in_zeros(next.id.prefix(), kSegmentBits + level_);
}

}  // namespace ashlar
