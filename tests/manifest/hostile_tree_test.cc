// Tests of trees that no builder makes. All code that reads a tree answers kCorrupt, or right, and ends soon.
#include <bit>

#include "manifest/model.h"
#include "manifest/subtree.h"

namespace ashlar {
namespace {

NodeRef store_leaf(MemoryNodes& nodes, const Leaf& leaf) {
  return {ChildKind::kNode, nodes.store(leaf), leaf.digest};
}

NodeRef store_inner(MemoryNodes& nodes, std::uint8_t level, std::vector<NodeRef> children) {
  const ContentDigest digest = inner_digest(level, children);
  return {ChildKind::kNode, nodes.store(InnerNode{level, std::move(children)}), digest};
}

// Checks that a cursor and a diff both refuse the tree as corrupt.
void expect_refused(MemoryNodes& nodes, const TreeRoot& root, std::uint64_t leaf) {
  LeafCursor cursor(nodes, root);
  auto span = cursor.at(leaf);
  const bool caught = !span.ok();
  if (caught) {
    EXPECT_EQ(span.error().code(), ErrorCode::kCorrupt);
  } else {
    const auto loaded = cursor.load(span.value());
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code(), ErrorCode::kCorrupt);
  }

  ManifestBuilder plain(nodes, nodes, root.blocks, std::nullopt);
  ASSERT_TRUE(plain.add_constant(ChildKind::kZero, leaf_count(root.blocks)).ok());
  const TreeRoot zeros = plain.finish().take();
  ModelMarks ids;
  const auto visit = [](BlockRange) -> Status { return {}; };
  const Status diff = diff_trees(nodes, ids, zeros, root, visit, nullptr);
  ASSERT_FALSE(diff.ok());
  EXPECT_EQ(diff.error().code(), ErrorCode::kCorrupt);
}

TEST(HostileTree, ALeafLongerOrShorterThanItsPlace) {
  MemoryNodes nodes;
  for (const std::uint64_t blocks : {1, 500, 1024}) {
    const NodeRef leaf = store_leaf(nodes, data_leaf(1, BlockCount{blocks}));
    expect_refused(nodes, {BlockCount{501}, 0, leaf}, 0);
  }
}

TEST(HostileTree, ANodeOfAnotherLevel) {
  MemoryNodes nodes;
  const NodeRef leaf = store_leaf(nodes, data_leaf(1, BlockCount{1024}));
  const NodeRef low = store_inner(nodes, 1, std::vector(256, leaf));
  const NodeRef wrong = store_inner(nodes, 3, {low, low});
  expect_refused(nodes, {BlockCount{512 * 1024ULL}, 2, wrong}, 0);
  // An inner node stands where a leaf belongs, and a leaf where an inner node belongs.
  expect_refused(nodes, {BlockCount{1024}, 0, low}, 0);
  expect_refused(nodes, {BlockCount{2048}, 1, leaf}, 1);
}

TEST(HostileTree, AWrongNumberOfChildren) {
  MemoryNodes nodes;
  const NodeRef leaf = store_leaf(nodes, data_leaf(1, BlockCount{1024}));
  for (const std::size_t children : {1, 2, 4, 256}) {
    expect_refused(nodes, {BlockCount{3 * 1024ULL}, 1, store_inner(nodes, 1, std::vector(children, leaf))},
                   0);
  }
}

TEST(HostileTree, AFullNodeReusedWhereTheVolumeEnds) {
  MemoryNodes nodes;
  const NodeRef leaf = store_leaf(nodes, data_leaf(1, BlockCount{1024}));
  const NodeRef full = store_inner(nodes, 1, std::vector(256, leaf));
  const TreeRoot root{BlockCount{300 * 1024ULL}, 2, store_inner(nodes, 2, {full, full})};
  LeafCursor cursor(nodes, root);
  EXPECT_TRUE(cursor.at(255).ok());
  EXPECT_EQ(cursor.at(256).error().code(), ErrorCode::kCorrupt)
      << "though the same node was right one place before";
  expect_refused(nodes, root, 256);
}

TEST(HostileTree, DigestsThatLie) {
  MemoryNodes nodes;
  const Leaf leaf = data_leaf(1, BlockCount{1024});
  NodeRef lying_leaf = store_leaf(nodes, leaf);
  lying_leaf.digest.bytes[0] ^= std::byte{1};
  const NodeRef other = store_leaf(nodes, data_leaf(2, BlockCount{1024}));
  expect_refused(nodes, {BlockCount{2048}, 1, store_inner(nodes, 1, {lying_leaf, other})}, 0);

  NodeRef lying_root = store_inner(nodes, 1, {other, other});
  lying_root.digest.bytes[0] ^= std::byte{1};
  expect_refused(nodes, {BlockCount{2048}, 1, lying_root}, 0);

  const NodeRef constant{ChildKind::kZero, {}, leaf.digest};
  expect_refused(nodes, {BlockCount{2048}, 1, store_inner(nodes, 1, {other, constant})}, 0);
  expect_refused(nodes, {BlockCount{1024}, 0, constant}, 0);
}

TEST(HostileTree, RootsThatDoNotFitTheirVolume) {
  MemoryNodes nodes;
  const NodeRef leaf = store_leaf(nodes, data_leaf(1, BlockCount{1024}));
  EXPECT_EQ(check_root({BlockCount{1024}, 1, leaf}).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(check_root({BlockCount{1025}, 0, leaf}).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(check_root({BlockCount{0}, 0, leaf}).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(check_root({BlockCount{1024}, 255, leaf}).error().code(), ErrorCode::kCorrupt);
  for (const std::uint64_t blocks : {kMaxTreeBlocks.value + 1, UINT64_MAX}) {
    const TreeRoot root{BlockCount{blocks}, 5, leaf};
    EXPECT_EQ(LeafCursor(nodes, root).at(0).error().code(), ErrorCode::kCorrupt);
    ManifestBuilder builder(nodes, nodes, BlockCount{1024}, root);
    EXPECT_EQ(builder.keep(1).error().code(), ErrorCode::kCorrupt);
  }
}

TEST(HostileTree, AMissingNodeIsNamed) {
  MemoryNodes nodes;
  const NodeRef leaf = store_leaf(nodes, data_leaf(1, BlockCount{1024}));
  const TreeRoot root{BlockCount{2048}, 1, store_inner(nodes, 1, {leaf, leaf})};
  nodes.forget(root.ref.id);
  LeafCursor cursor(nodes, root);
  const auto span = cursor.at(0);
  ASSERT_FALSE(span.ok());
  EXPECT_NE(span.error().text().find(root.ref.id.hex()), std::string::npos);
  EXPECT_EQ(cursor.unread(0).first, 0U);
  EXPECT_EQ(cursor.unread(0).count, 2U);
  EXPECT_EQ(cursor.unread(1).count, 1U);
}

TEST(HostileTree, AskingPastTheEndIsTheCallersMistake) {
  MemoryNodes nodes;
  LeafCursor cursor(nodes, build_from_scratch(nodes, {}));
  EXPECT_EQ(cursor.at(0).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(cursor.at(UINT64_MAX).error().code(), ErrorCode::kInvalid);
}

// Trees are wired at random from nodes of every level and length. Their digests fit, so a tree is refused
// only for its shape; one that is accepted must be readable from end to end.
TEST(HostileTree, RandomWiringNeverBreaksAReader) {
  std::uint64_t accepted = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Prng prng(seed);
    MemoryNodes nodes;
    std::vector<std::vector<NodeRef>> by_level(1);
    for (const std::uint64_t blocks : {1024, 1024, 1024, 512}) {
      by_level[0].push_back(store_leaf(nodes, random_leaf(prng, BlockCount{blocks})));
    }
    for (std::uint8_t level = 1; level <= 2; ++level) {
      std::vector<NodeRef> made;
      for (int i = 0; i < 6; ++i) {
        const std::size_t count = prng.below(2) == 0 ? 256 : 1 + prng.below(4);
        std::vector<NodeRef> children;
        while (children.size() < count) {
          const auto& from = by_level[prng.below(400) == 0 ? prng.below(by_level.size()) : level - 1U];
          children.push_back(prng.below(3) == 0
                                 ? constant_ref(ChildKind::kZero, static_cast<std::uint8_t>(level - 1),
                                                blocks_below(static_cast<std::uint8_t>(level - 1)))
                                 : from[prng.below(prng.below(50) == 0 ? from.size() : 1)]);
        }
        made.push_back(store_inner(nodes, prng.below(20) == 0 ? 3 : level, children));
      }
      by_level.push_back(std::move(made));
    }
    const auto level = static_cast<std::uint8_t>(1 + prng.below(2));
    const std::uint64_t children = 2 + prng.below(3);
    const BlockCount blocks{blocks_below(static_cast<std::uint8_t>(level - 1)).value * children -
                            prng.below(2) * 512};
    const TreeRoot root{blocks, level, by_level[level][prng.below(by_level[level].size())]};

    LeafCursor cursor(nodes, root);
    bool whole = true;
    for (std::uint64_t i = 0; whole && i < leaf_count(blocks);) {
      auto span = cursor.at(i);
      whole = span.ok() && (!span.value().ref.is_node() || cursor.load(span.value()).ok());
      if (whole) i += span.value().count;
    }
    accepted += whole ? 1U : 0U;
    ManifestBuilder builder(nodes, nodes, blocks, root);
    const Status kept = builder.keep(leaf_count(blocks) - 1);
    const bool built = kept.ok() && builder.add_constant(ChildKind::kZero, 1).ok() && builder.finish().ok();
    EXPECT_TRUE(built || !whole);
    ManifestBuilder plain(nodes, nodes, blocks, std::nullopt);
    ASSERT_TRUE(plain.add_constant(ChildKind::kZero, leaf_count(blocks)).ok());
    ModelMarks ids;
    const auto visit = [](BlockRange) -> Status { return {}; };
    const Status diff = diff_trees(nodes, ids, root, plain.finish().take(), visit, nullptr);
    EXPECT_TRUE(diff.ok() || !whole);
  }
  EXPECT_GT(accepted, 0U);
  EXPECT_LT(accepted, 300U);
}

}  // namespace
}  // namespace ashlar
