// Tests of the visit of a tree: each node once, after all nodes under it.
#include "manifest/tree_visit.h"

#include <gtest/gtest.h>

#include <map>

#include "support/memory_nodes.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

// Notes what is visited, in order, and checks that children come first.
class Visitor : public TreeVisitor {
 public:
  Status visit_leaf(const NodeRef& ref, const Leaf& leaf) override {
    EXPECT_EQ(node_id(encode(leaf)), ref.id);
    return note(ref);
  }
  Status visit_inner(const NodeRef& ref, const InnerNode& node) override {
    EXPECT_EQ(node_id(encode(node)), ref.id);
    for (const NodeRef& child : node.children) {
      if (child.is_node()) {
        EXPECT_TRUE(visits.contains(child.id)) << "a child comes before its parent";
      }
    }
    return note(ref);
  }

  std::map<NodeId, int> visits;
  std::size_t count = 0;
  std::size_t fails_at = SIZE_MAX;

 private:
  Status note(const NodeRef& ref) {
    if (count == fails_at) return Error(ErrorCode::kExhausted, "no room");
    ++count;
    ++visits[ref.id];
    return {};
  }
};

class TreeVisits : public testing::Test {
 protected:
  // Builds a volume: number 0 stands for a leaf that is a hole.
  SnapshotRecord snapshot(const std::vector<std::uint64_t>& leaves) {
    ManifestBuilder builder(nodes_, nodes_, BlockCount{leaves.size() * kLeafBlocks}, std::nullopt);
    for (const std::uint64_t number : leaves) {
      const Status added = number == 0 ? builder.add_constant(ChildKind::kUnallocated, 1)
                                       : builder.add_leaf(synthetic_leaf(number));
      EXPECT_TRUE(added.ok());
    }
    const TreeRoot root = builder.finish().take();
    SnapshotRecord record;
    record.id = SnapshotId{7};
    record.size = byte_count(root.blocks);
    record.root_level = root.level;
    record.root = root.ref;
    return record;
  }
  Status visit(const SnapshotRecord& record, const std::stop_token& stop = {}) {
    return visit_tree(nodes_, record, seen_, visitor_, stop);
  }

  MemoryNodes nodes_;
  std::set<SeenNode> seen_;
  Visitor visitor_;
};

TEST_F(TreeVisits, EachNodeIsVisitedOnceAfterItsChildren) {
  std::vector<std::uint64_t> leaves(600);
  for (std::size_t i = 0; i < leaves.size(); ++i)
    leaves[i] = i % 3 == 0 ? 0 : 1 + i % 50;  // holes, repetitions
  ASSERT_TRUE(visit(snapshot(leaves)).ok());
  EXPECT_EQ(visitor_.count, nodes_.size()) << "every node of the tree, and holes are none";
  for (const auto& [id, times] : visitor_.visits) EXPECT_EQ(times, 1);
}

TEST_F(TreeVisits, WhatAnotherSnapshotHadIsPassedOver) {
  ASSERT_TRUE(visit(snapshot({1, 2, 3, 4})).ok());
  EXPECT_EQ(visitor_.count, 5U);
  const std::uint64_t before = nodes_.reads();
  ASSERT_TRUE(visit(snapshot({1, 2, 3, 4})).ok());
  EXPECT_EQ(visitor_.count, 5U);
  EXPECT_EQ(nodes_.reads(), before);
  ASSERT_TRUE(visit(snapshot({1, 9, 3, 4})).ok());
  EXPECT_EQ(visitor_.count, 7U) << "one leaf and the root";
}

TEST_F(TreeVisits, AHoleHasNoNodes) {
  ASSERT_TRUE(visit(snapshot({0, 0, 0})).ok());
  EXPECT_EQ(visitor_.count, 0U);
}

TEST_F(TreeVisits, AfterAFailureTheRestIsVisitedAndNothingTwice) {
  const SnapshotRecord record = snapshot({1, 2, 3, 4, 5, 6});
  visitor_.fails_at = 3;
  const Status failed = visit(record);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(failed.error().text().find(record.id.text()), 0U) << failed.error().text();
  visitor_.fails_at = SIZE_MAX;
  ASSERT_TRUE(visit(record).ok());
  EXPECT_EQ(visitor_.count, 7U);
  for (const auto& [id, times] : visitor_.visits) EXPECT_EQ(times, 1);
}

TEST_F(TreeVisits, ATreeThatDoesNotFitItsSnapshotIsCorrupt) {
  const SnapshotRecord good = snapshot({1, 2, 3});
  SnapshotRecord bad = good;
  bad.root_level = 2;
  EXPECT_EQ(visit(bad).error().code(), ErrorCode::kCorrupt);
  bad = good;
  bad.size = ByteCount{2 * kLeafBytes};
  EXPECT_EQ(visit(bad).error().code(), ErrorCode::kCorrupt);
  bad = good;
  bad.root.digest.bytes[0] ^= std::byte{1};
  EXPECT_EQ(visit(bad).error().code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(visit(good).ok()) << "what was refused was not counted as seen";
}

TEST_F(TreeVisits, AStopIsHeard) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(visit(snapshot({1, 2}), stop.get_token()).error().code(), ErrorCode::kCancelled);
  EXPECT_EQ(visitor_.count, 0U);
}

}  // namespace
}  // namespace ashlar
