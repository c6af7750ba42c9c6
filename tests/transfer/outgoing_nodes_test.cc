// Tests of nodes as they leave their store: without region hashes, with the same digests, and only as what
// they say they are.
#include "transfer/outgoing_nodes.h"

#include <gtest/gtest.h>

#include "support/store_rig.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

class Outgoing : public testing::Test {
 protected:
  static NodeRef ref_of(const Leaf& leaf) { return {ChildKind::kNode, node_id(encode(leaf)), leaf.digest}; }
  static NodeRef ref_of(const InnerNode& node) {
    return {ChildKind::kNode, node_id(encode(node)), inner_digest(node.level, node.children)};
  }
  // Returns a node over a leaf, a constant and another leaf.
  InnerNode parent() const {
    InnerNode node;
    node.children = {
        ref_of(one_), {ChildKind::kZero, {}, zero_digest(0, BlockCount{kLeafBlocks})}, ref_of(two_)};
    return node;
  }
  static SnapshotRecord snapshot_of(const InnerNode& root) {
    SnapshotRecord record;
    record.id = SnapshotId{7};
    record.size = ByteCount{3 * kLeafBytes};
    record.root_level = root.level;
    record.root = ref_of(root);
    record.content = volume_digest(record.size, record.root_level, record.root.digest);
    return record;
  }

  Leaf one_ = synthetic_leaf(1);
  Leaf two_ = synthetic_leaf(2);
  OutgoingNodes outgoing_{RegionHashes::kLeaveOut};
};

TEST_F(Outgoing, ATreeLosesItsHashesAndKeepsItsDigests) {
  const auto leaf = expect_ok(outgoing_.leaf(ref_of(one_), one_));
  const Leaf sent = expect_ok(decode_leaf(leaf.encoding));
  EXPECT_EQ(sent, without_region_hashes(one_));
  EXPECT_EQ(leaf.id, node_id(leaf.encoding));
  const auto other = expect_ok(outgoing_.leaf(ref_of(two_), two_));
  const auto root = expect_ok(outgoing_.inner(ref_of(parent()), parent()));
  const InnerNode sent_root = expect_ok(decode_inner_node(root.encoding));
  EXPECT_EQ(sent_root.children[0].id, leaf.id);
  EXPECT_EQ(sent_root.children[1], parent().children[1]);
  EXPECT_EQ(sent_root.children[2].id, other.id);
  const SnapshotRecord record = expect_ok(outgoing_.record(snapshot_of(parent())));
  EXPECT_EQ(record.root.id, root.id);
  EXPECT_EQ(record.root.digest, ref_of(parent()).digest);
  EXPECT_EQ(record.content, snapshot_of(parent()).content);
}

TEST_F(Outgoing, WhatHasNoHashesGoesOutAsItIs) {
  const Leaf bare = without_region_hashes(one_);
  EXPECT_EQ(expect_ok(outgoing_.leaf(ref_of(bare), bare)).id, node_id(encode(bare)));
  EXPECT_EQ(expect_ok(outgoing_.leaf(ref_of(one_), one_)).id, node_id(encode(bare)))
      << "equal leaves are one";
}

TEST_F(Outgoing, WithinAStoreNothingChanges) {
  OutgoingNodes within(RegionHashes::kKeep);
  EXPECT_EQ(expect_ok(within.leaf(ref_of(one_), one_)).encoding, encode(one_));
  expect_ok(within.leaf(ref_of(two_), two_));
  EXPECT_EQ(expect_ok(within.inner(ref_of(parent()), parent())).encoding, encode(parent()));
  EXPECT_EQ(expect_ok(within.record(snapshot_of(parent()))).root, ref_of(parent()));
}

TEST_F(Outgoing, ANodeOfAnotherContentIsRefused) {
  NodeRef lie = ref_of(one_);
  lie.digest = two_.digest;
  EXPECT_EQ(outgoing_.leaf(lie, one_).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(outgoing_.inner(ref_of(parent()), parent()).error().code(), ErrorCode::kCorrupt)
      << "the leaves below it were not sent";
  expect_ok(outgoing_.leaf(ref_of(one_), one_));
  expect_ok(outgoing_.leaf(ref_of(two_), two_));
  InnerNode swapped = parent();
  std::swap(swapped.children[0].digest, swapped.children[2].digest);
  EXPECT_EQ(outgoing_.inner(ref_of(swapped), swapped).error().code(), ErrorCode::kCorrupt);
  lie = ref_of(parent());
  lie.digest.bytes[0] ^= std::byte{1};
  EXPECT_EQ(outgoing_.inner(lie, parent()).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Outgoing, ARecordOfAnotherContentIsRefused) {
  expect_ok(outgoing_.leaf(ref_of(one_), one_));
  expect_ok(outgoing_.leaf(ref_of(two_), two_));
  expect_ok(outgoing_.inner(ref_of(parent()), parent()));
  SnapshotRecord record = snapshot_of(parent());
  record.content.bytes[0] ^= std::byte{1};
  EXPECT_EQ(outgoing_.record(record).error().code(), ErrorCode::kCorrupt);
  record = snapshot_of(parent());
  record.root.id = node_id(as_byte_span("a node that was not sent"));
  EXPECT_EQ(outgoing_.record(record).error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ashlar
