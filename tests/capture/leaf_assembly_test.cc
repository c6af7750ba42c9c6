// Tests of leaf assembly: what was read counts, whatever a changed-block map says; the rest is the parent's.
#include "capture/leaf_assembly.h"

#include <gtest/gtest.h>

#include "capture/leaf_rig.h"

namespace ashlar {
namespace {

// A leaf of 128 blocks, eight regions, over what the parent has at its place.
class LeafOfParent : public testing::Test {
 protected:
  static constexpr std::size_t kBlocks = 128;

  LeafAssembly assemble(const Origins& origins, const LeafBytes& now, const std::vector<PlannedRun>& runs) {
    return rig_.assemble(origins, now, runs);
  }
  LeafRig rig_;
};

TEST_F(LeafOfParent, AnUnreadBlockIsTheParents) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  LeafBytes now = LeafBytes::data(1, kBlocks);
  now.set(3, block_of(900));
  Origins origins(kBlocks, BlockOrigin::kParent);
  std::fill_n(origins.begin(), kRegionBlocks, BlockOrigin::kRead);
  LeafAssembly assembly = assemble(origins, now, {{0, 0, 16}});
  EXPECT_FALSE(assembly.is_parents());
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_FALSE(assembly.map_missed());
  EXPECT_EQ(assembly.same_blocks(), 15U);
}

TEST_F(LeafOfParent, ALeafThatWasReadAndIsEqualIsTheParents) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  LeafAssembly assembly =
      assemble(Origins(kBlocks, BlockOrigin::kRead), LeafBytes::data(1, kBlocks), {{0, 0, kBlocks}});
  EXPECT_TRUE(assembly.is_parents());
  EXPECT_EQ(assembly.same_blocks(), kBlocks);
}

// The parent came from another store: its blocks are compared by their marks, and the leaf is written once
// more, with hashes.
TEST_F(LeafOfParent, AnEqualLeafWithoutRegionHashesIsWrittenWithThem) {
  const LeafBytes now = LeafBytes::data(1, kBlocks);
  rig_.set_parent(now);
  const Leaf complete = *rig_.parent();
  rig_.leave_out_region_hashes();
  LeafAssembly assembly = assemble(Origins(kBlocks, BlockOrigin::kRead), now, {{0, 0, kBlocks}});
  EXPECT_FALSE(assembly.is_parents());
  EXPECT_EQ(assembly.same_blocks(), 0U) << "nothing shows yet that they are equal";
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_EQ(assembly.same_blocks(), kBlocks);
  EXPECT_EQ(rig_.last_leaf(), complete) << "as if it had never left its store";
}

TEST_F(LeafOfParent, AnUnreadLeafWithoutRegionHashesIsTheParents) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  rig_.leave_out_region_hashes();
  LeafAssembly assembly = assemble(Origins(kBlocks, BlockOrigin::kParent), LeafBytes::data(1, kBlocks), {});
  EXPECT_TRUE(assembly.is_parents());
}

TEST_F(LeafOfParent, AChangedLeafWithoutRegionHashesHasThoseOfWhatWasRead) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  rig_.leave_out_region_hashes();
  LeafBytes now = LeafBytes::data(1, kBlocks);
  now.set(3, block_of(900));
  Origins origins(kBlocks, BlockOrigin::kParent);
  std::fill_n(origins.begin(), kRegionBlocks, BlockOrigin::kRead);
  LeafAssembly assembly = assemble(origins, now, {{0, 0, 16}});
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_FALSE(rig_.last_leaf().no_region_hashes);
  EXPECT_EQ(rig_.last_leaf().region_mask, 1U);
}

TEST_F(LeafOfParent, AChangeThatTheMapMissedInAGapIsReadAndNoticed) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  LeafBytes now = LeafBytes::data(1, kBlocks);
  now.set(0, block_of(900));   // the map knows of this one
  now.set(40, block_of(901));  // and not of this one, which lies in a gap that is read
  Origins origins(kBlocks, BlockOrigin::kParent);
  std::fill_n(origins.begin(), kRegionBlocks, BlockOrigin::kRead);
  LeafAssembly assembly = assemble(origins, now, {{0, 0, kBlocks}});
  EXPECT_FALSE(assembly.is_parents());
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_TRUE(assembly.map_missed());
  EXPECT_EQ(rig_.last_draft().regions, rig_.hashes_of(now)) << "and the hashes are those of these bytes";
}

TEST_F(LeafOfParent, AGapThatIsZerosByNowIsReadAndNoticed) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  LeafBytes now = LeafBytes::data(1, kBlocks);
  for (std::size_t i = 32; i < 48; ++i) now.set(i, ByteVector(kBlockBytes));
  LeafAssembly assembly = assemble(Origins(kBlocks, BlockOrigin::kParent), now, {{0, 0, kBlocks}});
  EXPECT_FALSE(assembly.is_parents()) << "although the map calls every block the parent's";
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_TRUE(assembly.map_missed());
  EXPECT_EQ(rig_.last_draft().region_mask, 0xfbU) << "zeros have no hash";
}

TEST_F(LeafOfParent, DataInAGapThatWasAHoleIsNoticed) {
  LeafBytes parent = LeafBytes::data(1, kBlocks);
  for (std::size_t i = 32; i < 48; ++i) parent.set_kind(i, ExtentKind::kUnallocated);
  rig_.set_parent(parent);
  const LeafBytes now = LeafBytes::data(1, kBlocks);
  LeafAssembly assembly = assemble(Origins(kBlocks, BlockOrigin::kParent), now, {{0, 0, kBlocks}});
  EXPECT_FALSE(assembly.is_parents());
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_TRUE(assembly.map_missed());
}

TEST_F(LeafOfParent, AHoleInAGapThatWasReadStaysAHole) {
  LeafBytes parent = LeafBytes::data(1, kBlocks);
  for (std::size_t i = 20; i < 48; ++i) parent.set_kind(i, ExtentKind::kUnallocated);
  rig_.set_parent(parent);
  LeafBytes now = parent;
  now.set(0, block_of(900));
  Origins origins(kBlocks, BlockOrigin::kParent);
  std::fill_n(origins.begin(), kRegionBlocks, BlockOrigin::kRead);
  LeafAssembly assembly = assemble(origins, now, {{0, 0, kBlocks}});
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_EQ(rig_.last_kinds(), now.kinds());
  EXPECT_FALSE(assembly.map_missed());
}

TEST_F(LeafOfParent, ABadSectorInAGapSaysNothingOfTheMap) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  LeafBytes now = LeafBytes::data(1, kBlocks);
  now.set_kind(40, ExtentKind::kUnreadable);
  LeafAssembly assembly = assemble(Origins(kBlocks, BlockOrigin::kParent), now, {{0, 0, kBlocks}});
  EXPECT_FALSE(assembly.is_parents());
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_EQ(rig_.last_kinds(), now.kinds());
  EXPECT_FALSE(assembly.map_missed());
}

// A volume does not read what it takes from the parent; such a region has the parent's hash all the same.
TEST_F(LeafOfParent, ARegionThatTheSourceDidNotReadKeepsTheHashOfTheParent) {
  rig_.set_parent(LeafBytes::data(1, kBlocks));
  LeafBytes now = LeafBytes::data(1, kBlocks);
  now.set(3, block_of(900));
  LeafAssembly assembly = rig_.planned(Origins(kBlocks, BlockOrigin::kRead), {});
  assembly.take(rig_.hashed(now, {0, 0, kBlocks}, true, {{Lba{4}, BlockCount{60}}}));
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_EQ(rig_.last_draft().region_mask, 0xfeU) << "of the first region some blocks were not read";
  std::vector<RegionHash> hashes = rig_.hashes_of(now);
  hashes.erase(hashes.begin());
  EXPECT_EQ(rig_.last_draft().regions, hashes);
}

TEST_F(LeafOfParent, ZerosOfAConstantParentStayZeros) {
  for (const ChildKind kind : {ChildKind::kZero, ChildKind::kUnallocated}) {
    rig_.set_constant_parent(kind);
    LeafBytes now(kBlocks, extent_kind(kind));
    for (std::size_t i = 0; i < kRegionBlocks; ++i) now.set(i, block_of(i));
    Origins origins(kBlocks, BlockOrigin::kParent);
    std::fill_n(origins.begin(), kRegionBlocks, BlockOrigin::kRead);
    LeafAssembly assembly = assemble(origins, now, {{0, 0, 16}});
    EXPECT_FALSE(assembly.is_parents());
    EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
    EXPECT_EQ(rig_.last_kinds(), now.kinds());
    EXPECT_FALSE(assembly.map_missed());
  }
}

TEST_F(LeafOfParent, DataInAGapOfAConstantParentIsNoticed) {
  rig_.set_constant_parent(ChildKind::kZero);
  LeafBytes now(kBlocks, ExtentKind::kZero);
  now.set(50, block_of(7));
  LeafAssembly assembly = assemble(Origins(kBlocks, BlockOrigin::kParent), now, {{0, 0, kBlocks}});
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  EXPECT_TRUE(assembly.map_missed());
}

TEST_F(LeafOfParent, AStreamEndsInsideTheLeaf) {
  rig_.set_no_parent();
  const LeafBytes now = LeafBytes::data(5, 19);
  LeafAssembly assembly = rig_.planned(Origins(kLeafBlocks, BlockOrigin::kRead), {{0, 0, kLeafBlocks}});
  assembly.cut(19);
  assembly.take(rig_.hashed(now, {0, 0, 19}));
  EXPECT_EQ(assembly.block_count(), 19U);
  EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
  BlockCounts counts;
  assembly.count(counts);
  EXPECT_EQ(counts.count(ExtentKind::kData), BlockCount{19});
}

// Any parent, any bytes now, and a map that may miss changes where the bytes are read all the same: the leaf
// reads as the bytes now, and a change that the map missed is noticed.
TEST_F(LeafOfParent, AnyMixtureReadsAsTheBytesNow) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    Prng prng(seed);
    LeafBytes parent = LeafBytes::data(100 * seed, kBlocks);
    const auto empty = [&] { return prng.below(2) == 0 ? ExtentKind::kZero : ExtentKind::kUnallocated; };
    for (std::size_t i = 0; i < kBlocks; ++i) {
      if (prng.below(3) == 0) parent.set_kind(i, empty());
    }
    rig_.set_parent(parent);
    LeafBytes now = parent;
    Origins origins(kBlocks, BlockOrigin::kParent);
    bool missed = false;
    for (std::size_t first = 0; first < kBlocks; first += kRegionBlocks) {
      const bool known = prng.below(2) == 0;  // the map calls the region changed
      const std::uint64_t rarity = 1 + prng.below(40);
      bool differs = false;
      for (std::size_t i = first; i < first + kRegionBlocks; ++i) {
        if (known) origins[i] = BlockOrigin::kRead;
        if (prng.below(rarity) == 0)
          now.set(i,
                  prng.below(2) == 0 ? block_of(100 * seed + prng.below(kBlocks)) : ByteVector(kBlockBytes));
        if (now.blocks()[i] == parent.blocks()[i]) {
          now.set_kind(i, parent.kinds()[i]);
        } else {
          differs = true;
        }
      }
      missed = missed || (differs && !known);
      // A source that is read does not tell a hole from zeros; only a region that equals the parent's does.
      const bool has_data = !is_zero(now.bytes(first, kRegionBlocks));
      for (std::size_t i = first; known && (differs || !has_data) && i < first + kRegionBlocks; ++i) {
        if (now.kinds()[i] == ExtentKind::kUnallocated) now.set_kind(i, ExtentKind::kZero);
      }
    }
    LeafAssembly assembly = assemble(origins, now, {{0, 0, kBlocks}});
    EXPECT_EQ(rig_.read_leaf(assembly), now.blocks());
    EXPECT_EQ(rig_.last_kinds(), now.kinds());
    EXPECT_EQ(assembly.map_missed(), missed);
    if (assembly.is_parents()) continue;
    EXPECT_EQ(rig_.last_draft().digest, leaf_digest(now.marks()));
    EXPECT_EQ(rig_.last_draft().regions, rig_.hashes_of(now));
  }
}

}  // namespace
}  // namespace ashlar
