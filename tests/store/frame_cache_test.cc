// Tests of the frame cache: a frame is fetched once however many ask for it, memory is bounded, and a failure
// is told to all who waited and then forgotten.
#include "store/frame_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "support/remote_objects.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

class CachedFrames : public testing::Test {
 protected:
  static constexpr std::uint32_t kFrame = 4;  // blocks of a frame
  static constexpr std::size_t kFrames = 6;

  void SetUp() override {
    const SealedSegment segment = sealed_segment(seeds_from(0, kFrames * kFrame));
    pack_ = store_.publish(segment, kFrame);
    segments_ = std::make_unique<SegmentReader>(remote_, store_.index());
    segment_ = expect_ok(segments_->locate(segment.id));
    remote_.reads = 0;
  }
  FrameCache cache_of(std::size_t frames) { return {*segments_, frames * kFrame * kBlockBytes, kFrame}; }
  static ByteVector bytes_of_frame(std::size_t frame) {
    ByteVector bytes;
    for (const std::uint64_t seed : seeds_from(frame * kFrame, kFrame)) {
      const ByteVector block = block_of(seed);
      bytes.insert(bytes.end(), block.begin(), block.end());
    }
    return bytes;
  }
  ByteVector stored_frame(std::size_t frame) {
    ByteVector stored(segment_->directory.frames[frame].stored_bytes);
    expect_ok(expect_ok(segments_->pack(pack_))->read_raw(segment_->frame_offsets[frame], stored));
    return stored;
  }

  StoreRig store_;
  RemoteObjects remote_{store_.objects()};
  std::unique_ptr<SegmentReader> segments_;
  std::shared_ptr<const LocatedSegment> segment_;
  PackId pack_;
};

TEST_F(CachedFrames, AFrameIsFetchedOnceAndHasItsBlocks) {
  FrameCache cache = cache_of(kFrames);
  for (int round = 0; round < 2; ++round) {
    for (std::size_t frame = 0; frame < kFrames; ++frame) {
      const auto got = cache.get(*segment_, frame);
      ASSERT_FINE(got);
      EXPECT_TRUE(bytes_equal(got.value()->span(), bytes_of_frame(frame)));
    }
  }
  EXPECT_EQ(remote_.reads, kFrames);
  EXPECT_EQ(cache.fetched(), kFrames);
}

TEST_F(CachedFrames, ManyWhoAskAtTheSameTimeShareOneFetch) {
  FrameCache cache = cache_of(kFrames);
  remote_.delay = std::chrono::milliseconds(100);
  std::vector<FrameCache::Frame> got(8);
  {
    std::vector<std::jthread> readers;
    for (auto& frame : got) readers.emplace_back([&] { frame = expect_ok(cache.get(*segment_, 2)); });
  }
  EXPECT_EQ(remote_.reads, 1U);
  for (const auto& frame : got) EXPECT_EQ(frame, got[0]) << "the same buffer";
}

TEST_F(CachedFrames, AFailureIsToldToAllWhoWaitAndThenForgotten) {
  FrameCache cache = cache_of(kFrames);
  remote_.delay = std::chrono::milliseconds(100);
  remote_.fault = Fault::kError;
  std::atomic<int> told{0};
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 8; ++i) {
      readers.emplace_back([&] {
        const auto got = cache.get(*segment_, 2);
        if (!got.ok() && got.error().code() == ErrorCode::kIo && got.error().text() == "the store is away")
          ++told;
      });
    }
  }
  EXPECT_EQ(told, 8);
  EXPECT_EQ(remote_.reads, 1U);
  remote_.fault = Fault::kNone;
  const auto later = cache.get(*segment_, 2);
  ASSERT_FINE(later);
  EXPECT_TRUE(bytes_equal(later.value()->span(), bytes_of_frame(2)));
}

TEST_F(CachedFrames, ADamagedFrameIsNamedAndTheOthersAreRead) {
  store_.flip_byte(pack_key(PackKind::kData, pack_), segment_->frame_offsets[3]);
  segments_ = std::make_unique<SegmentReader>(remote_, store_.index());
  FrameCache cache = cache_of(kFrames);
  const auto damaged = cache.get(*segment_, 3);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(damaged.error().text().find(describe_frame(*segment_, 3)), std::string::npos)
      << damaged.error().text();
  ASSERT_FINE(cache.get(*segment_, 2));
  ASSERT_FINE(cache.get(*segment_, 4));
}

TEST_F(CachedFrames, TheLeastRecentlyUsedFrameIsDropped) {
  FrameCache cache = cache_of(2);
  for (const std::size_t frame : {0U, 1U, 0U, 2U}) ASSERT_FINE(cache.get(*segment_, frame));
  EXPECT_EQ(cache.fetched(), 3U);
  ASSERT_FINE(cache.get(*segment_, 0));
  EXPECT_EQ(cache.fetched(), 3U) << "frame 0 was used after frame 1";
  ASSERT_FINE(cache.get(*segment_, 1));
  EXPECT_EQ(cache.fetched(), 4U) << "frame 1 made room for frame 2";
}

TEST_F(CachedFrames, ACacheOfFewBytesHoldsOneFrame) {
  FrameCache cache(*segments_, 1, kFrame);
  ASSERT_FINE(cache.get(*segment_, 0));
  ASSERT_FINE(cache.get(*segment_, 0));
  EXPECT_EQ(cache.fetched(), 1U);
}

TEST_F(CachedFrames, RememberedBytesNeedNoFetchAndWrongOnesAreRefused) {
  FrameCache cache = cache_of(kFrames);
  const ByteVector stored = stored_frame(1);
  ByteVector wrong = stored;
  wrong[wrong.size() / 2] ^= std::byte{1};
  const Status refused = cache.remember(*segment_, 1, wrong);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kCorrupt);
  expect_ok(cache.remember(*segment_, 1, stored));
  const auto got = cache.get(*segment_, 1);
  ASSERT_FINE(got);
  EXPECT_TRUE(bytes_equal(got.value()->span(), bytes_of_frame(1)));
  EXPECT_EQ(cache.fetched(), 0U);
}

// A segment that lies in two packs may be divided into frames in two ways.
TEST_F(CachedFrames, FramesOfAnotherDivisionAreOtherFrames) {
  FrameCache cache = cache_of(kFrames);
  LocatedSegment other = *segment_;
  other.directory.frames[0].block_count = kFrame - 1;
  ASSERT_FINE(cache.get(*segment_, 0));
  EXPECT_FALSE(cache.get(other, 0).ok()) << "a frame of four blocks is not one of three";
}

}  // namespace
}  // namespace ashlar
