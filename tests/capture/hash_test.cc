// Tests of the hash ladder: each region takes the cheapest step that decides it.
#include "capture/hash.h"

#include <gtest/gtest.h>

#include "capture/leaf_rig.h"

namespace ashlar {
namespace {

constexpr std::size_t kBlocks = 40;  // two whole regions and half of a third

class HashLadder : public testing::Test {
 protected:
  HashedRun hash(const LeafBytes& now, bool trust_regions = true) {
    rig_.planned(Origins(kBlocks, BlockOrigin::kRead), {});
    return rig_.hashed(now, {4, 0, kBlocks}, trust_regions);
  }
  LeafRig rig_;
};

TEST_F(HashLadder, ZerosAreFoundFirstAndHaveNeitherHashNorMarks) {
  const HashedRun run = hash(LeafBytes(kBlocks, ExtentKind::kZero));
  ASSERT_EQ(run.regions.size(), 3U);
  for (const HashedRegion& region : run.regions) {
    EXPECT_EQ(region.state, RegionState::kZero);
    EXPECT_FALSE(region.has_hash);
  }
  EXPECT_EQ(run.marks, std::vector<BlockMark>(kBlocks));
}

TEST_F(HashLadder, ARegionThatEqualsTheParentsIsNotHashedByBlock) {
  LeafBytes now = LeafBytes::data(1, kBlocks);
  rig_.set_parent(now);
  now.set(17, block_of(900));
  const HashedRun run = hash(now);
  ASSERT_EQ(run.regions.size(), 3U);
  EXPECT_EQ(run.regions[0].state, RegionState::kSame);
  EXPECT_EQ(run.regions[1].state, RegionState::kData);
  EXPECT_EQ(run.regions[2].state, RegionState::kSame) << "the short last region too";
  for (std::size_t i = 0; i < kBlocks; ++i)
    EXPECT_EQ(run.marks[i], i / kRegionBlocks == 1 ? now.marks()[i] : BlockMark{}) << i;
}

TEST_F(HashLadder, AParanoidCaptureTrustsNoRegion) {
  const LeafBytes now = LeafBytes::data(1, kBlocks);
  rig_.set_parent(now);
  const HashedRun run = hash(now, false);
  for (const HashedRegion& region : run.regions) EXPECT_EQ(region.state, RegionState::kData);
  EXPECT_EQ(run.marks, now.marks());
}

TEST_F(HashLadder, DataHasTheMarksOfItsBlocksAndOfItsZeros) {
  LeafBytes now = LeafBytes::data(1, kBlocks);
  now.set(5, ByteVector(kBlockBytes));
  const HashedRun run = hash(now);
  EXPECT_EQ(run.marks, now.marks());
  std::vector<RegionHash> hashes;
  for (const HashedRegion& region : run.regions) {
    EXPECT_TRUE(region.has_hash);
    hashes.push_back(region.hash);
  }
  EXPECT_EQ(hashes, LeafRig::hashes_of(now));
}

TEST_F(HashLadder, ARegionWithABadSectorHasNoHash) {
  LeafBytes now = LeafBytes::data(1, kBlocks);
  rig_.set_parent(now);
  now.set_kind(20, ExtentKind::kUnreadable);
  const HashedRun run = hash(now);
  EXPECT_EQ(run.regions[1].state, RegionState::kData);
  EXPECT_FALSE(run.regions[1].has_hash);
  EXPECT_EQ(run.marks[20], unreadable_block_mark());
  EXPECT_EQ(run.marks[21], now.marks()[21]) << "its other blocks are data";
}

TEST_F(HashLadder, ZerosBesideABadSectorAreNotAZeroRegion) {
  LeafBytes now(kBlocks, ExtentKind::kZero);
  now.set_kind(3, ExtentKind::kUnreadable);
  const HashedRun run = hash(now);
  EXPECT_EQ(run.regions[0].state, RegionState::kData);
  EXPECT_EQ(run.marks[3], unreadable_block_mark());
  EXPECT_EQ(run.marks[4], zero_block_mark());
  EXPECT_EQ(run.regions[1].state, RegionState::kZero);
}

TEST_F(HashLadder, WhatTheSourceDidNotReadIsMarked) {
  const LeafBytes now = LeafBytes::data(1, kBlocks);
  rig_.set_parent(now);
  rig_.planned(Origins(kBlocks, BlockOrigin::kRead), {});
  const HashedRun hashed = rig_.hashed(now, {0, 0, kBlocks}, true, {{Lba{16}, BlockCount{2}}});
  EXPECT_EQ(hashed.regions[0].state, RegionState::kSame);
  EXPECT_EQ(hashed.regions[1].state, RegionState::kData);
  EXPECT_FALSE(hashed.regions[1].has_hash);
  EXPECT_EQ(hashed.marks[16], unchanged_block_mark());
  EXPECT_EQ(hashed.marks[18], now.marks()[18]);
}

}  // namespace
}  // namespace ashlar
