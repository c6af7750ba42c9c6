// Tests of the staging of a bundle and of stored segments: parts that are not trusted yet are kept beside the
// store, and a segment leaves the store only after each of its blocks was checked.
#include "transfer/bundle_staging.h"

#include <gtest/gtest.h>

#include "support/memory_nodes.h"
#include "support/store_rig.h"
#include "support/synthetic_tree.h"
#include "transfer/stored_segment.h"

namespace ashlar {
namespace {

class Staging : public testing::Test {
 protected:
  std::unique_ptr<RandomFile> scratch_of(std::uint64_t bytes) {
    return expect_ok(store_.files().create_random("/scratch-" + std::to_string(++scratches_), bytes));
  }
  static NodeId id_of(const Leaf& leaf) { return node_id(encode(leaf)); }
  // Returns a leaf as it stands in a bundle.
  static Leaf outgoing_leaf(std::uint64_t number) { return without_region_hashes(synthetic_leaf(number)); }
  // Returns a leaf of blocks 2, 1 and 0 of a segment.
  static Leaf backwards(const SegmentId& segment) {
    Leaf leaf;
    leaf.segments = {segment};
    for (const std::uint16_t block : {std::uint16_t{2}, std::uint16_t{1}, std::uint16_t{0}})
      leaf.extents.push_back({ExtentKind::kData, 1, 0, block});
    leaf.extents.push_back({ExtentKind::kZero, 1, 0, 0});
    leaf.extents.push_back({ExtentKind::kUnreadable, 1, 0, 0});
    return leaf;
  }

  StoreRig store_;
  MemoryNodes nodes_;
  int scratches_ = 0;
  std::unique_ptr<RandomFile> scratch_ = scratch_of(1 << 20);
  BundleStaging staging_{*scratch_, nodes_, store_.segments()};
};

TEST_F(Staging, NodesAreReadAsTheyWereAddedAndElseFromTheStore) {
  const Leaf staged = outgoing_leaf(1);
  const Leaf stored = outgoing_leaf(2);
  InnerNode inner;
  inner.children = {{ChildKind::kNode, id_of(staged), staged.digest},
                    {ChildKind::kNode, id_of(stored), stored.digest}};
  nodes_.store(stored);
  expect_ok(staging_.add_node(encode(staged)));
  expect_ok(staging_.add_node(encode(inner)));
  EXPECT_EQ(*expect_ok(staging_.leaf(id_of(staged))), staged);
  EXPECT_EQ(*expect_ok(staging_.leaf(id_of(stored))), stored);
  EXPECT_EQ(*expect_ok(staging_.inner(node_id(encode(inner)))), inner);
  EXPECT_EQ(nodes_.reads(), 1U) << "the store is asked for what was not staged";
  EXPECT_EQ(staging_.leaf(id_of(outgoing_leaf(3))).error().code(), ErrorCode::kNotFound);
}

TEST_F(Staging, WhatComesTwiceAndWhatIsNoNodeIsRefused) {
  expect_ok(staging_.add_node(encode(outgoing_leaf(1))));
  EXPECT_EQ(staging_.add_node(encode(outgoing_leaf(1))).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(staging_.add_node(as_byte_span("not a node")).error().code(), ErrorCode::kCorrupt);
  const SegmentDirectory directory = encoded_segment(sealed_segment(seeds_from(0, 3))).directory;
  expect_ok(staging_.add_segment(directory));
  EXPECT_EQ(staging_.add_segment(directory).error().code(), ErrorCode::kCorrupt);
}

TEST_F(Staging, ALeafWithRegionHashesIsRefused) {
  const Error error = staging_.add_node(encode(synthetic_leaf(1))).error();
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_NE(error.text().find("region hashes"), std::string::npos) << error.text();
  Leaf leaf = synthetic_leaf(1);
  leaf.region_mask = 0;
  leaf.regions.clear();
  EXPECT_FALSE(staging_.add_node(encode(leaf)).ok()) << "it could have some, as its flags say";
  EXPECT_TRUE(staging_.all_were_used()) << "nothing was added";
}

TEST_F(Staging, TheMarksOfALeafComeFromStagedSegmentsAndElseFromTheStore) {
  const SealedSegment staged = sealed_segment(seeds_from(0, 3));
  const SealedSegment stored = sealed_segment(seeds_from(50, 3));
  expect_ok(staging_.add_segment(encoded_segment(staged).directory));
  store_.publish(stored);
  for (const SealedSegment* segment : {&staged, &stored}) {
    const std::vector<BlockMark> expected = {mark_of(segment->blocks[2]), mark_of(segment->blocks[1]),
                                             mark_of(segment->blocks[0]), zero_block_mark(),
                                             unreadable_block_mark()};
    for (int round = 0; round < 2; ++round)
      EXPECT_EQ(expect_ok(staging_.block_marks(backwards(segment->id))), expected);
  }
  EXPECT_EQ(staging_.block_marks(backwards(sealed_segment({99}).id)).error().code(), ErrorCode::kCorrupt);
}

// Whether the store's blocks can be built on is decided when the snapshot is copied.
TEST_F(Staging, MarksAreReadFromAnyDirectoryThatIsRight) {
  const SealedSegment stored = sealed_segment(seeds_from(50, 3));
  const PackId pack = store_.publish(stored);
  store_.flip_byte(pack_key(PackKind::kData, pack), 0);
  EXPECT_EQ(expect_ok(staging_.block_marks(backwards(stored.id))).size(), 5U);
}

TEST_F(Staging, WhatWasAddedAndNotAskedForIsKnown) {
  EXPECT_TRUE(staging_.all_were_used());
  const SealedSegment segment = sealed_segment(seeds_from(0, 3));
  expect_ok(staging_.add_segment(encoded_segment(segment).directory));
  expect_ok(staging_.add_node(encode(outgoing_leaf(1))));
  EXPECT_FALSE(staging_.all_were_used());
  expect_ok(staging_.leaf(id_of(outgoing_leaf(1))));
  EXPECT_FALSE(staging_.all_were_used());
  expect_ok(staging_.block_marks(backwards(segment.id)));
  EXPECT_TRUE(staging_.all_were_used());
}

TEST_F(Staging, ABundleLargerThanTheScratchFileIsTooLarge) {
  const auto little = scratch_of(encode(outgoing_leaf(1)).size());
  BundleStaging staging(*little, nodes_, store_.segments());
  expect_ok(staging.add_node(encode(outgoing_leaf(1))));
  EXPECT_EQ(staging.add_node(encode(outgoing_leaf(2))).error().code(), ErrorCode::kExhausted);
  EXPECT_EQ(*expect_ok(staging.leaf(id_of(outgoing_leaf(1)))), outgoing_leaf(1));
}

// Segments as they are stored.

TEST(StoredSegment, IsReadAsItWasEncodedAndInTheOrderAskedFor) {
  StoreRig store;
  std::vector<SealedSegment> segments;
  std::vector<WantedSegment> wanted;
  for (std::uint64_t s = 0; s < 6; ++s) {
    segments.push_back(sealed_segment(seeds_from(100 * s, 5 + 7 * s)));
    wanted.insert(wanted.begin(), {segments.back().id, block_set(0, 5)});
  }
  store.publish(segments);
  const auto read = expect_ok(read_stored_segments(store.segments(), wanted, {}));
  ASSERT_EQ(read.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const EncodedSegment expected = encoded_segment(segments[segments.size() - 1 - i]);
    EXPECT_EQ(read[i].directory.id, wanted[i].id);
    EXPECT_EQ(read[i].directory.blocks, expected.directory.blocks);
    EXPECT_EQ(read[i].directory.frames, expected.directory.frames);
    EXPECT_EQ(read[i].payload, expected.payload);
  }
}

TEST(StoredSegment, ADamagedFrameThatIsWantedDoesNotLeaveTheStoreAndAnotherIsLeftOut) {
  StoreRig store;
  const SealedSegment segment = sealed_segment(seeds_from(0, 40));
  const PackId pack = store.publish(segment);
  const auto located = expect_ok(store.segments().locate(segment.id));
  store.flip_byte(pack_key(PackKind::kData, pack), located->frame_offsets[2] + 1);
  store.reopen_segments();
  const auto read = read_stored_segment(store.segments(), {segment.id, block_set(39, 1)});
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(read.error().text().find(describe_frame(*located, 2)), std::string::npos) << read.error().text();
  EXPECT_FALSE(read_stored_segments(store.segments(), {{segment.id, block_set(32, 1)}}, {}).ok());
  const EncodedSegment rest =
      expect_ok(read_stored_segment(store.segments(), {segment.id, block_set(0, 32)}));
  EXPECT_EQ(locate_segment({}, rest.directory)->present, block_set(0, 32));
  expect_ok(check_frames(*locate_segment({}, rest.directory), rest.payload));
}

// A collection has dropped frames, and a later capture stored some of them again.
TEST(StoredSegment, FramesAreGatheredFromThePacksThatHaveThem) {
  StoreRig store;
  const SealedSegment segment = sealed_segment(seeds_from(0, 64));
  for (const std::size_t kept : {0, 2}) {
    EncodedSegment part = encoded_segment(segment);
    for (std::size_t frame = 0; frame < 4; ++frame) {
      if (frame != kept) make_absent(part, frame, 1);
    }
    store.publish(std::move(part));
  }
  store.publish(segment, 64);  // divided in another way
  const EncodedSegment read = expect_ok(read_stored_segment(store.segments(), {segment.id, block_set(0, 1)}));
  EXPECT_EQ(locate_segment({}, read.directory)->present, block_set(0, 64)) << "the rest goes along";
  expect_ok(check_frames(*locate_segment({}, read.directory), read.payload));
}

TEST(StoredSegment, FramesThatDoNotFillThePayloadAreRefused) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  EncodedSegment encoded = encoded_segment(segment);
  const auto located = locate_segment({}, encoded.directory);
  expect_ok(check_frames(*located, encoded.payload));
  ByteVector longer = encoded.payload;
  longer.push_back(std::byte{0});
  EXPECT_EQ(check_frames(*located, longer).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(
      check_frames(*located, ByteSpan(encoded.payload).first(encoded.payload.size() - 1)).error().code(),
      ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ashlar
