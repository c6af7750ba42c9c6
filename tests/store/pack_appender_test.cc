// Tests of the pack appender: segments reach packs whole and in order, packs are closed when they are full,
// and a failure publishes nothing.
#include "store/pack_appender.h"

#include <gtest/gtest.h>

#include "support/store_rig.h"

namespace ashlar {
namespace {

TEST(EncodedSegments, FramesOfAnySizeDecodeToTheBlocks) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 50));
  for (const std::uint32_t frame_blocks : {1U, 7U, 16U, 64U}) {
    SCOPED_TRACE(frame_blocks);
    const EncodedSegment encoded = encoded_segment(segment, frame_blocks);
    EXPECT_EQ(encoded.directory.blocks, segment.blocks);
    EXPECT_EQ(encoded.directory.id, segment.id);
    EXPECT_EQ(encoded.directory.payload_bytes(), encoded.payload.size());
    EXPECT_EQ(encoded.directory.frames.size(), (50 + frame_blocks - 1) / frame_blocks);
    FrameDecoder decoder;
    std::size_t at = 0;
    std::size_t block = 0;
    for (const FrameEntry& frame : encoded.directory.frames) {
      const ByteSpan stored = ByteSpan(encoded.payload).subspan(at, frame.stored_bytes);
      EXPECT_EQ(checksum64(stored), frame.checksum);
      ByteVector blocks(frame.block_count * kBlockBytes);
      expect_ok(decoder.decode(frame.codec, stored, blocks));
      EXPECT_TRUE(bytes_equal(blocks, segment.data.span().subspan(block * kBlockBytes, blocks.size())));
      at += frame.stored_bytes;
      block += frame.block_count;
    }
    EXPECT_EQ(block, 50U);
  }
}

class Appending : public testing::Test {
 protected:
  StoreRig store_;
  PackAppender appender_{store_.objects(), store_.index(), StoreRig::id(), StoreRig::session()};
};

TEST_F(Appending, NothingIsThereBeforeThePackIsPublished) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  expect_ok(appender_.append(encoded_segment(segment)));
  EXPECT_FALSE(expect_ok(store_.index().find_segment(segment.id)));
  EXPECT_TRUE(expect_ok(list_packs(store_.objects(), PackKind::kData)).empty());
  expect_ok(appender_.publish());
  const SegmentPlace place = store_.place_of(segment.id);
  EXPECT_EQ(place.entry.block_count, 20U);
  EXPECT_EQ(appender_.packs_published(), 1U);
  EXPECT_EQ(appender_.stored_bytes(), place.entry.directory_bytes + std::uint64_t{place.entry.payload_bytes});
  const auto whole = expect_ok(WholePackReader::open(store_.objects(), PackKind::kData, place.pack));
  EXPECT_EQ(expect_ok(whole->segments()), std::vector<SegmentEntry>{place.entry})
      << "the index has the footer's entry";
}

TEST_F(Appending, WithoutASegmentThereIsNoPack) {
  expect_ok(appender_.publish());
  EXPECT_EQ(appender_.packs_published(), 0U);
  EXPECT_TRUE(expect_ok(list_packs(store_.objects(), PackKind::kData)).empty());
}

TEST_F(Appending, AFullPackIsClosedByItselfAndTheNextSegmentBeginsAnother) {
  // Segments of 4 MiB that do not compress; the sixteenth makes a pack longer than 64 MiB.
  const std::size_t kToFill = 16;
  ByteVector payload(kSegmentBytes);
  Prng(3).fill(payload);
  std::vector<SegmentId> ids;
  for (std::uint64_t s = 0; s < kToFill + 1; ++s) {
    EncodedSegment segment;
    for (std::uint64_t b = 0; b < kSegmentBlocks; ++b) {
      BlockId id;
      const std::uint64_t number = s * kSegmentBlocks + b;
      std::memcpy(id.bytes.data(), &number, sizeof number);
      segment.directory.blocks.push_back(id);
    }
    for (std::size_t f = 0; f < kSegmentBlocks / 16; ++f)
      segment.directory.frames.push_back({16 * kBlockBytes, FrameCodec::kRaw, 16, 0});
    segment.directory.id = segment_id(segment.directory.blocks);
    segment.payload = payload;
    ids.push_back(segment.directory.id);
    expect_ok(appender_.append(std::move(segment)));
    EXPECT_EQ(appender_.packs_published(), s + 1 < kToFill ? 0U : 1U) << "after segment " << s;
  }
  expect_ok(appender_.publish());
  EXPECT_EQ(appender_.packs_published(), 2U);
  const PackId first = store_.place_of(ids.front()).pack;
  for (std::size_t s = 0; s < kToFill; ++s) EXPECT_EQ(store_.place_of(ids[s]).pack, first);
  EXPECT_NE(store_.place_of(ids.back()).pack, first);
}

TEST_F(Appending, AFailurePublishesNothing) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  expect_ok(appender_.append(encoded_segment(segment)));
  store_.files().set_full(true);
  const Status published = appender_.publish();
  ASSERT_FALSE(published.ok());
  EXPECT_EQ(published.error().code(), ErrorCode::kExhausted);
  store_.files().set_full(false);
  EXPECT_FALSE(appender_.publish().ok()) << "what failed once is not tried again";
  EXPECT_FALSE(expect_ok(store_.index().find_segment(segment.id)));
  EXPECT_TRUE(expect_ok(list_packs(store_.objects(), PackKind::kData)).empty());
  EXPECT_EQ(appender_.packs_published(), 0U);
}

}  // namespace
}  // namespace ashlar
