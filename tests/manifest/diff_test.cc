#include "manifest/diff.h"

#include <bit>

#include "manifest/model.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

ModelVolume volume_of(std::vector<Leaf> leaves) {
  ModelVolume volume;
  for (Leaf& leaf : leaves) {
    volume.blocks += BlockCount{leaf.block_count()};
    volume.leaves.push_back(std::make_shared<const Leaf>(std::move(leaf)));
  }
  return volume;
}

BlockRange range(std::uint64_t first, std::uint64_t count) { return {Lba{first}, BlockCount{count}}; }

TEST(TreeDiff, EqualBytesAtOtherPlacesAreEqualWithoutALookInside) {
  MemoryNodes nodes;
  // Segment 98 holds the same blocks as segment 1: their contents differ by 37 × 97, which is 0 modulo 97.
  const TreeRoot a =
      build_from_scratch(nodes, volume_of({data_leaf(1, BlockCount{1024}), data_leaf(2, BlockCount{9})}));
  const TreeRoot b =
      build_from_scratch(nodes, volume_of({data_leaf(98, BlockCount{1024}), data_leaf(2, BlockCount{9})}));
  ASSERT_NE(a.ref.id, b.ref.id);
  DiffCounters counters;
  EXPECT_TRUE(tree_diff(nodes, a, b, &counters).empty());
  EXPECT_EQ(counters.nodes_read, 0U);
}

TEST(TreeDiff, SamePlacesNeedNoBlockIds) {
  MemoryNodes nodes;
  Leaf before = data_leaf(1, BlockCount{1024});
  Leaf after;
  append_extent(after, ExtentKind::kData, 100, 1);
  append_extent(after, ExtentKind::kUnreadable, 24);
  append_extent(after, ExtentKind::kData, 900, 1, 124);
  after.digest = leaf_digest(model_marks(after));
  const TreeRoot a = build_from_scratch(nodes, volume_of({before}));
  const TreeRoot b = build_from_scratch(nodes, volume_of({after}));
  ModelMarks ids;
  std::vector<BlockRange> ranges;
  const auto visit = [&](BlockRange r) -> Status {
    ranges.push_back(r);
    return {};
  };
  ASSERT_TRUE(diff_trees(nodes, ids, a, b, visit, nullptr).ok());
  EXPECT_EQ(ranges, std::vector{range(100, 24)});
  EXPECT_EQ(ids.reads, 0U);
}

TEST(TreeDiff, ZeroAndUnallocatedDoNotDiffer) {
  MemoryNodes nodes;
  ManifestBuilder zero(nodes, nodes, BlockCount{700'000}, std::nullopt);
  ASSERT_TRUE(zero.add_constant(ChildKind::kZero, 684).ok());
  ManifestBuilder hole(nodes, nodes, BlockCount{700'000}, std::nullopt);
  ASSERT_TRUE(hole.add_constant(ChildKind::kUnallocated, 300).ok());
  ASSERT_TRUE(hole.add_constant(ChildKind::kZero, 384).ok());
  EXPECT_TRUE(tree_diff(nodes, zero.finish().take(), hole.finish().take()).empty());
}

TEST(TreeDiff, PastTheShorterEndEverythingDiffersEvenZeros) {
  MemoryNodes nodes;
  ManifestBuilder longer(nodes, nodes, BlockCount{80'000'000}, std::nullopt);
  ASSERT_TRUE(longer.add_constant(ChildKind::kZero, leaf_count(BlockCount{80'000'000})).ok());
  const TreeRoot a = longer.finish().take();
  const TreeRoot b = build_from_scratch(nodes, volume_of({constant_leaf(ExtentKind::kZero, BlockCount{5})}));
  const TreeRoot empty = ManifestBuilder(nodes, nodes, {}, std::nullopt).finish().take();
  EXPECT_EQ(tree_diff(nodes, a, b), std::vector{range(5, 79'999'995)});
  EXPECT_EQ(tree_diff(nodes, b, a), std::vector{range(5, 79'999'995)});
  EXPECT_EQ(tree_diff(nodes, empty, a), std::vector{range(0, 80'000'000)});
  EXPECT_TRUE(tree_diff(nodes, empty, empty).empty());
}

TEST(TreeDiff, AGrownVolumeIsReadAlongItsEdgesOnly) {
  MemoryNodes nodes;
  const TreeRoot a = build_synthetic_64_tib(nodes).take();
  ManifestBuilder builder(nodes, nodes, a.blocks + BlockCount{1}, a);
  ASSERT_TRUE(builder.keep(leaf_count(a.blocks)).ok());
  ASSERT_TRUE(builder.add_constant(ChildKind::kZero, 1).ok());
  const TreeRoot b = builder.finish().take();
  ASSERT_EQ(b.level, a.level + 1);
  DiffCounters counters;
  EXPECT_EQ(tree_diff(nodes, a, b, &counters), std::vector{range(a.blocks.value, 1)});
  EXPECT_EQ(counters.nodes_read, 1U) << "the new root";
}

TEST(TreeDiff, NeighbouringRangesComeAsOne) {
  MemoryNodes nodes;
  std::vector<Leaf> before;
  std::vector<Leaf> after;
  for (std::uint64_t i = 0; i < 300; ++i) {
    before.push_back(data_leaf(i, BlockCount{1024}));
    after.push_back(data_leaf(i >= 200 && i < 290 ? i + 1 : i, BlockCount{1024}));
  }
  const TreeRoot a = build_from_scratch(nodes, volume_of(std::move(before)));
  const TreeRoot b = build_from_scratch(nodes, volume_of(std::move(after)));
  EXPECT_EQ(tree_diff(nodes, a, b), std::vector{range(200 * 1024ULL, 90 * 1024ULL)});
}

TEST(TreeDiff, StopsWhenTheVisitorDoes) {
  MemoryNodes nodes;
  const TreeRoot a = build_from_scratch(nodes, volume_of({data_leaf(1, BlockCount{1024})}));
  const TreeRoot b =
      build_from_scratch(nodes, volume_of({constant_leaf(ExtentKind::kZero, BlockCount{1024})}));
  ModelMarks ids;
  const auto stop = [](BlockRange) -> Status { return cancelled(); };
  EXPECT_EQ(diff_trees(nodes, ids, a, b, stop, nullptr).error().code(), ErrorCode::kCancelled);
}

TEST(TreeDiff, MarksThatDoNotCoverTheLeafAreRefused) {
  class ShortMarks : public BlockMarkReader {
   public:
    Result<std::vector<BlockMark>> block_marks(const Leaf&) override { return std::vector<BlockMark>(3); }
  };
  MemoryNodes nodes;
  const TreeRoot a = build_from_scratch(nodes, volume_of({data_leaf(1, BlockCount{1024})}));
  const TreeRoot b = build_from_scratch(nodes, volume_of({data_leaf(2, BlockCount{1024})}));
  ShortMarks ids;
  const auto visit = [](BlockRange) -> Status { return {}; };
  EXPECT_EQ(diff_trees(nodes, ids, a, b, visit, nullptr).error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ashlar
