// Tests of the question whether the store has the blocks of a leaf: yes only for frames that are there, in
// places that were read.
#include "store/stored_blocks.h"

#include <gtest/gtest.h>

#include "support/remote_objects.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

class BlocksOfALeaf : public testing::Test {
 protected:
  // A leaf of two extents in one segment: blocks 0 to 9 and 40 to 49 of it.
  Leaf leaf() const {
    Leaf leaf;
    leaf.segments = {segment_.id};
    leaf.extents = {{ExtentKind::kData, 10, 0, 0}, {ExtentKind::kZero, 5}, {ExtentKind::kData, 10, 0, 40}};
    return leaf;
  }
  void publish_without(std::size_t first_frame, std::size_t frames) {
    EncodedSegment encoded = encoded_segment(segment_);
    make_absent(encoded, first_frame, frames);
    store_.publish(std::move(encoded));
  }
  bool has() { return expect_ok(StoredBlocks(store_.segments(), store_.leaned()).has(leaf())); }

  StoreRig store_;
  SealedSegment segment_ = sealed_segment(seeds_from(0, 64));
};

TEST_F(BlocksOfALeaf, TheBlocksThatItsExtentsNameAreUsed) {
  EXPECT_EQ(blocks_used(leaf()), std::vector{block_set(0, 10) | block_set(40, 10)});
  EXPECT_EQ(block_set(0, kSegmentBlocks), ~SegmentBlocks());
  EXPECT_EQ(block_set(5, 0), SegmentBlocks());
}

TEST_F(BlocksOfALeaf, OnlyTheFramesThatItUsesAreAskedFor) {
  EXPECT_FALSE(has()) << "in no pack";
  publish_without(1, 1);
  EXPECT_TRUE(has()) << "no extent uses frame 1";
}

TEST_F(BlocksOfALeaf, AnAbsentFrameIsNotStoredUntilAnotherPackHasIt) {
  publish_without(2, 1);
  EXPECT_FALSE(has());
  publish_without(0, 1);
  EXPECT_TRUE(has()) << "one pack has the one frame, one the other";
  StoredBlocks stored(store_.segments(), store_.leaned());
  ASSERT_TRUE(expect_ok(stored.has(leaf())));
  EXPECT_EQ(store_.leaned().packs(PackKind::kData).size(), 2U);
}

TEST_F(BlocksOfALeaf, ADamagedPlaceDoesNotCount) {
  const PackId pack = store_.publish(segment_);
  const std::string key = pack_key(PackKind::kData, pack);
  const ByteVector good = store_.bytes_of(key);
  const std::uint64_t directory = store_.place_of(segment_.id).entry.directory_offset;
  for (const std::uint64_t at : {std::uint64_t{1}, directory + 90, good.size() - 1}) {
    SCOPED_TRACE(at);
    store_.overwrite(key, good);
    store_.flip_byte(key, at);
    store_.reopen_segments();
    EXPECT_FALSE(has());
  }
}

TEST_F(BlocksOfALeaf, AFailingMediumIsNoPlaceAndAnotherErrorIsAnError) {
  store_.publish(segment_);
  RemoteObjects remote(store_.objects());
  SegmentReader far(remote, store_.index());
  remote.fault = Fault::kBadMedium;
  EXPECT_FALSE(expect_ok(StoredBlocks(far, store_.leaned()).has(leaf())));
  remote.fault = Fault::kError;
  EXPECT_EQ(StoredBlocks(far, store_.leaned()).has(leaf()).error().code(), ErrorCode::kIo);
}

}  // namespace
}  // namespace ashlar
