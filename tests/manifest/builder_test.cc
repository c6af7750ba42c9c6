#include "manifest/builder.h"

#include <bit>

#include "manifest/model.h"
#include "manifest/subtree.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

constexpr BlockCount leaves_of(std::uint64_t count) { return BlockCount{count * kLeafBlocks}; }

TEST(ManifestBuilder, VolumeWithoutBlocksIsAConstantRoot) {
  MemoryNodes nodes;
  const TreeRoot root = ManifestBuilder(nodes, nodes, {}, std::nullopt).finish().take();
  EXPECT_EQ(root.level, 0);
  EXPECT_EQ(root.ref, (NodeRef{ChildKind::kUnallocated, {}, zero_digest(0, {})}));
  EXPECT_EQ(nodes.size(), 0U);
}

TEST(ManifestBuilder, ConstantDigestsAreThoseOfTheFormat) {
  for (std::uint8_t level = 0; level <= kMaxLevel; ++level) {
    const BlockCount full = blocks_below(level);
    for (const std::uint64_t blocks : {full.value, full.value - 1, full.value / 2 + 3, std::uint64_t{1}}) {
      EXPECT_EQ(constant_digest(level, BlockCount{blocks}), zero_digest(level, BlockCount{blocks}))
          << "level " << int{level} << ", " << blocks << " blocks";
    }
  }
}

TEST(ManifestBuilder, TheLargestVolumeCostsNothingWhileItIsEmpty) {
  MemoryNodes nodes;
  ManifestBuilder builder(nodes, nodes, kMaxTreeBlocks, std::nullopt);
  ASSERT_TRUE(builder.add_constant(ChildKind::kZero, leaf_count(kMaxTreeBlocks)).ok());
  const TreeRoot root = builder.finish().take();
  EXPECT_EQ(root.ref.kind, ChildKind::kZero);
  EXPECT_EQ(root.level, kMaxLevel);
  EXPECT_EQ(nodes.puts, 0U);
}

TEST(ManifestBuilder, MoreThanTheLargestVolumeIsRefused) {
  MemoryNodes nodes;
  for (const std::uint64_t blocks : {kMaxTreeBlocks.value + 1, UINT64_MAX}) {
    ManifestBuilder builder(nodes, nodes, BlockCount{blocks}, std::nullopt);
    EXPECT_EQ(builder.add_constant(ChildKind::kZero, 1).error().code(), ErrorCode::kInvalid);
    EXPECT_EQ(builder.finish().error().code(), ErrorCode::kInvalid);
  }
}

TEST(ManifestBuilder, LeavesWithoutDataBecomeConstantsUnlessBothKindsMix) {
  MemoryNodes nodes;
  Leaf mixed;
  append_extent(mixed, ExtentKind::kZero, 1000);
  append_extent(mixed, ExtentKind::kUnallocated, 24);
  mixed.digest = leaf_digest(model_marks(mixed));

  ManifestBuilder builder(nodes, nodes, leaves_of(3), std::nullopt);
  ASSERT_TRUE(builder.add_leaf(constant_leaf(ExtentKind::kZero, BlockCount{1024})).ok());
  ASSERT_TRUE(builder.add_leaf(constant_leaf(ExtentKind::kUnallocated, BlockCount{1024})).ok());
  ASSERT_TRUE(builder.add_leaf(mixed).ok());
  const TreeRoot root = builder.finish().take();
  EXPECT_EQ(nodes.puts, 2U) << "the mixed leaf and the root";

  LeafCursor cursor(nodes, root);
  EXPECT_EQ(cursor.at(0).take().ref.kind, ChildKind::kZero);
  EXPECT_EQ(cursor.at(1).take().ref.kind, ChildKind::kUnallocated);
  EXPECT_EQ(*cursor.load(cursor.at(2).take()).take(), mixed);
  EXPECT_EQ(root.ref.digest, zero_digest(1, leaves_of(3))) << "all of it reads as zeros";
}

TEST(ManifestBuilder, OneChangedLeafWritesOneNodeALevel) {
  MemoryNodes nodes;
  const TreeRoot parent = build_synthetic(nodes, 65537).take();
  ASSERT_EQ(parent.level, 3);
  for (const std::uint64_t changed : {0, 1, 255, 256, 40000, 65535, 65536}) {
    ManifestBuilder builder(nodes, nodes, parent.blocks, parent);
    ASSERT_TRUE(builder.keep(changed).ok());
    ASSERT_TRUE(builder.add_leaf(synthetic_leaf(1'000'000 + changed)).ok());
    ASSERT_TRUE(builder.keep(65536 - changed).ok());
    ASSERT_TRUE(builder.finish().ok());
    EXPECT_EQ(builder.counters().nodes_written, 4U) << "leaf " << changed;
  }
}

TEST(ManifestBuilder, AnUnchangedVolumeWritesNothingHoweverItIsKept) {
  MemoryNodes nodes;
  const TreeRoot parent = build_synthetic(nodes, 3000).take();
  for (const std::uint64_t step : {1, 7, 256, 3000}) {
    ManifestBuilder builder(nodes, nodes, parent.blocks, parent);
    nodes.inner_reads = 0;
    while (builder.next() < 3000) ASSERT_TRUE(builder.keep(std::min(step, 3000 - builder.next())).ok());
    EXPECT_EQ(builder.finish().take().ref, parent.ref);
    EXPECT_EQ(builder.counters().nodes_written, 0U);
    EXPECT_EQ(nodes.inner_reads, 0U);
  }
}

TEST(ManifestBuilder, AVolumeCutShortOrGrownKeepsWholeSubtreesOnly) {
  MemoryNodes nodes;
  const TreeRoot parent = build_synthetic(nodes, 65600).take();
  for (const std::uint64_t leaves : {1, 256, 300, 65536, 65599}) {
    ManifestBuilder builder(nodes, nodes, leaves_of(leaves), parent);
    ASSERT_TRUE(builder.keep(leaves).ok());
    MemoryNodes own;
    EXPECT_EQ(builder.finish().take().ref, build_synthetic(own, leaves).take().ref) << leaves << " leaves";
    EXPECT_LE(builder.counters().nodes_written, 3U) << "the nodes along the new end";
  }
  ManifestBuilder grown(nodes, nodes, leaves_of(65601), parent);
  ASSERT_TRUE(grown.keep(65600).ok());
  ASSERT_TRUE(grown.add_leaf(synthetic_leaf(65600)).ok());
  MemoryNodes own;
  EXPECT_EQ(grown.finish().take().ref, build_synthetic(own, 65601).take().ref);
  EXPECT_EQ(grown.counters().nodes_written, 4U);
}

TEST(ManifestBuilder, SixteenChangesIn64TebibytesTouchSixteenPaths) {
  MemoryNodes nodes;
  const TreeRoot parent = build_synthetic_64_tib(nodes).take();
  nodes.inner_reads = 0;
  ManifestBuilder builder(nodes, nodes, parent.blocks, parent);
  for (std::uint64_t i = 0; i < 16; ++i) {
    ASSERT_TRUE(builder.keep(i * 1'000'003 + 17 - builder.next()).ok());
    ASSERT_TRUE(builder.add_leaf(synthetic_leaf(1'000'000 + i)).ok());
  }
  ASSERT_TRUE(builder.keep(leaf_count(parent.blocks) - builder.next()).ok());
  const TreeRoot root = builder.finish().take();
  EXPECT_EQ(builder.counters().nodes_written, 16U * 3 + 1);
  EXPECT_LE(nodes.inner_reads, 16U * 2 + 1);

  SyntheticMarks ids;
  DiffCounters counters;
  std::vector<std::uint64_t> changed;
  const auto visit = [&](BlockRange range) -> Status {
    EXPECT_EQ(range.count.value, kLeafBlocks);
    changed.push_back(range.first.value / kLeafBlocks);
    return {};
  };
  ASSERT_TRUE(diff_trees(nodes, ids, parent, root, visit, &counters).ok());
  ASSERT_EQ(changed.size(), 16U);
  for (std::uint64_t i = 0; i < 16; ++i) EXPECT_EQ(changed[i], i * 1'000'003 + 17);
  EXPECT_EQ(counters.nodes_read, 2 * (16U * 3 + 1));
}

TEST(ManifestBuilder, AStreamMayEndAnywhereButInsideItsLeaves) {
  MemoryNodes nodes;
  const auto stream = [&] {
    return std::make_unique<ManifestBuilder>(nodes, nodes, ManifestBuilder::kUnknownSize, std::nullopt);
  };
  const auto empty = stream();
  EXPECT_EQ(empty->finish().error().code(), ErrorCode::kInvalid) << "its end was never said";
  ASSERT_TRUE(empty->end_at({}).ok());
  EXPECT_EQ(empty->finish().take().ref, ManifestBuilder(nodes, nodes, {}, std::nullopt).finish().take().ref);

  const auto two = stream();
  ASSERT_TRUE(two->add_leaf(data_leaf(1, BlockCount{1024})).ok());
  ASSERT_TRUE(two->add_constant(ChildKind::kZero, 1).ok());
  EXPECT_EQ(two->end_at(BlockCount{2047}).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(two->end_at(BlockCount{UINT64_MAX}).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(two->end_at(blocks_below(kMaxLevel - 1) + BlockCount{1}).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(two->end_at(BlockCount{2049}).ok());
  ASSERT_TRUE(two->end_at(BlockCount{2049}).ok()) << "the same again";
  EXPECT_EQ(two->end_at(BlockCount{2050}).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(two->add_leaf(data_leaf(7, BlockCount{1})).ok());
  const TreeRoot root = two->finish().take();
  EXPECT_EQ(root.blocks, BlockCount{2049});
  EXPECT_EQ(root.level, 1);
}

TEST(ManifestBuilder, MisuseIsRefusedWithoutHarm) {
  MemoryNodes nodes;
  const ModelVolume small{BlockCount{1500},
                          {std::make_shared<Leaf>(data_leaf(1, BlockCount{1024})),
                           std::make_shared<Leaf>(data_leaf(2, BlockCount{476}))}};
  const TreeRoot parent = build_from_scratch(nodes, small);
  ManifestBuilder builder(nodes, nodes, leaves_of(2), parent);
  EXPECT_EQ(builder.keep(2).error().code(), ErrorCode::kInvalid)
      << "the second leaf was shorter in the parent";
  EXPECT_EQ(builder.keep(3).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(builder.add_constant(ChildKind::kZero, UINT64_MAX).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(builder.add_constant(ChildKind::kNode, 1).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(builder.finish().error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(builder.keep(1).ok());
  ASSERT_TRUE(builder.add_leaf(data_leaf(3, BlockCount{1024})).ok());
  EXPECT_TRUE(builder.finish().ok());

  ManifestBuilder orphan(nodes, nodes, leaves_of(2), std::nullopt);
  EXPECT_EQ(orphan.keep(1).error().code(), ErrorCode::kInvalid);
  ManifestBuilder longer(nodes, nodes, leaves_of(3), parent);
  ASSERT_TRUE(longer.add_constant(ChildKind::kZero, 2).ok());
  EXPECT_EQ(longer.keep(1).error().code(), ErrorCode::kInvalid) << "the parent has no third leaf";
}

TEST(ManifestBuilder, ALeafThatNoReaderWouldAcceptIsNotWritten) {
  MemoryNodes nodes;
  Leaf gap = data_leaf(1, BlockCount{1024});
  gap.extents[0].segment = 5;
  Leaf split = data_leaf(1, BlockCount{512});
  split.extents.push_back({ExtentKind::kData, 512, 0, 512});
  for (const Leaf& leaf : {gap, split, data_leaf(1, BlockCount{1000}), Leaf{}}) {
    ManifestBuilder builder(nodes, nodes, leaves_of(1), std::nullopt);
    EXPECT_FALSE(builder.add_leaf(leaf).ok());
    EXPECT_FALSE(builder.finish().ok());
  }
  EXPECT_EQ(nodes.puts, 0U);
}

TEST(ManifestBuilder, AFailedWriteEndsTheBuild) {
  MemoryNodes nodes;
  nodes.fail_after = 1;
  ManifestBuilder builder(nodes, nodes, leaves_of(3), std::nullopt);
  ASSERT_TRUE(builder.add_leaf(data_leaf(1, BlockCount{1024})).ok());
  EXPECT_EQ(builder.add_leaf(data_leaf(2, BlockCount{1024})).error().code(), ErrorCode::kExhausted);
  nodes.fail_after = UINT64_MAX;
  EXPECT_FALSE(builder.add_leaf(data_leaf(2, BlockCount{1024})).ok());
  EXPECT_FALSE(builder.finish().ok());
}

}  // namespace
}  // namespace ashlar
