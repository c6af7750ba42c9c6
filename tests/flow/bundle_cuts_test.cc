// Tests of where bundles are cut into pieces: the cuts lie at places that two versions of an image share.
#include "transfer/bundle_cuts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace ashlar {
namespace {

using Row = std::vector<BundleSegment>;

Row random_row(std::size_t packs, std::size_t segments_a_pack, std::uint64_t seed) {
  Prng prng(seed);
  Row row;
  for (std::size_t i = 0; i < packs; ++i) {
    PackId pack;
    prng.fill(pack.bytes);
    for (std::size_t j = 0; j < segments_a_pack; ++j) {
      BundleSegment& segment = row.emplace_back(BundleSegment{pack, j, {}, 1024});
      prng.fill(segment.id.bytes);
    }
  }
  std::ranges::sort(row);
  return row;
}

std::set<Row> pieces_of(const Row& row) {
  const BundleCuts cuts(row);
  std::set<Row> pieces;
  Row piece;
  for (const BundleSegment& segment : row) {
    if (!piece.empty() && cuts.between(piece.back(), segment)) {
      pieces.insert(piece);
      piece.clear();
    }
    piece.push_back(segment);
  }
  pieces.insert(piece);
  return pieces;
}

std::size_t new_pieces(const Row& before, const Row& after) {
  const std::set<Row> old = pieces_of(before);
  const std::set<Row> pieces = pieces_of(after);
  return static_cast<std::size_t>(
      std::ranges::count_if(pieces, [&](const Row& piece) { return !old.contains(piece); }));
}

TEST(BundleCuts, APackMoreIsItsOwnPiecesAndASegmentLessChangesOne) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    const Row row = random_row(20, 16, seed);
    Row more = row;
    const Row pack = random_row(1, 16, seed + 1000);
    more.insert(more.end(), pack.begin(), pack.end());
    std::ranges::sort(more);
    EXPECT_EQ(new_pieces(row, more), pieces_of(pack).size());
    Row less = row;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(seed * 5));
    EXPECT_LE(new_pieces(row, less), 1U);
  }
}

// An image may grow without new cuts everywhere: up to the first step, at some 300 GiB, one segment more
// changes at most two pieces.
TEST(BundleCuts, OneSegmentMoreIsOnePieceMoreUpToTheFirstStep) {
  for (const std::size_t segments : {32'768UL + 7, 65'536UL + 7, 90'000UL}) {
    const Row row = random_row(1, segments, segments);
    Row more = row;
    more.push_back(row.back());
    ++more.back().offset;
    EXPECT_LE(new_pieces(row, more), 2U) << segments;
  }
  const Row row = random_row(1, 96'007, 1);
  Row more = row;
  more.push_back(row.back());
  ++more.back().offset;
  EXPECT_GT(new_pieces(row, more), 2000U) << "the first step";
}

TEST(BundleCuts, ThereAreNeverTooMany) {
  for (const auto& [packs, segments] :
       {std::pair<std::size_t, std::size_t>{1, 3}, {1, 100'000}, {10'000, 1}, {30'000, 30}, {100, 1000}}) {
    const Row row = random_row(packs, segments, packs);
    const std::size_t pieces = pieces_of(row).size();
    EXPECT_LE(pieces, BundleCuts::kMostCuts * 11 / 10) << packs << " packs of " << segments;
    EXPECT_GE(pieces, std::min(row.size() / 16, BundleCuts::kMostCuts / 3))
        << packs << " packs of " << segments;
  }
}

}  // namespace
}  // namespace ashlar
