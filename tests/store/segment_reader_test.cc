// Tests of the segment reader: it returns the stored blocks or an error that names the place, never other
// bytes.
#include <gtest/gtest.h>

#include "store/segments.h"
#include "support/remote_objects.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

class StoredSegments : public testing::Test {
 protected:
  // Reads blocks [first, first + count) of a segment.
  Result<ByteVector> read(const SegmentId& id, std::size_t first, std::size_t count) {
    ByteVector out(count * kBlockBytes, std::byte{0xee});
    const auto segment = TRY(store_.segments().locate(id));
    TRY(store_.segments().read(*segment, first, count, out));
    return out;
  }
  static ByteVector blocks(const std::vector<std::uint64_t>& seeds) {
    const SealedSegment segment = sealed_segment(seeds);
    const ByteSpan bytes = segment.data.span();
    return {bytes.begin(), bytes.end()};
  }
  static std::string key_of(const SegmentPlace& place) { return pack_key(PackKind::kData, place.pack); }

  StoreRig store_;
};

TEST_F(StoredSegments, AnyBlocksInFramesOfAnySizeReadAsStored) {
  Prng prng(9);
  for (const std::uint32_t frame_blocks : {1U, 5U, 16U, 64U}) {
    const std::size_t count = 100 + prng.below(200);
    const auto seeds = seeds_from(10000 * frame_blocks, count);
    const SealedSegment segment = sealed_segment(seeds);
    store_.publish(segment, frame_blocks);
    const ByteVector model = blocks(seeds);
    for (int i = 0; i < 60; ++i) {
      const std::size_t first = prng.below(count);
      const std::size_t n = 1 + prng.below(count - first);
      SCOPED_TRACE(testing::Message() << frame_blocks << ": " << n << " blocks from " << first);
      const auto got = read(segment.id, first, n);
      ASSERT_FINE(got);
      ASSERT_TRUE(bytes_equal(got.value(), ByteSpan(model).subspan(first * kBlockBytes, n * kBlockBytes)));
    }
    EXPECT_EQ(read(segment.id, count - 1, 2).error().code(), ErrorCode::kCorrupt) << "past its end";
  }
}

TEST_F(StoredSegments, OneReadOfThePackServesAReadOfBlocks) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 100));
  store_.publish(segment);
  RemoteObjects remote(store_.objects());
  SegmentReader reader(remote, store_.index());
  const auto located = expect_ok(reader.locate(segment.id));
  EXPECT_EQ(remote.reads, 1U) << "the directory";
  ByteVector out(70 * kBlockBytes);
  expect_ok(reader.read(*located, 10, 70, out));
  EXPECT_EQ(remote.reads, 2U);
  EXPECT_EQ(expect_ok(reader.locate(segment.id)), located);
  EXPECT_EQ(remote.reads, 2U) << "the directory is cached";
}

TEST_F(StoredSegments, ASegmentThatNoPackHoldsIsAnErrorThatNamesIt) {
  const SegmentId nowhere = sealed_segment({1}).id;
  const auto got = store_.segments().locate(nowhere);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(got.error().text().find(nowhere.hex()), std::string::npos);
}

TEST_F(StoredSegments, ADamagedFrameIsNamedAndCostsOnlyItsBlocks) {
  const auto seeds = seeds_from(0, 64);
  const SealedSegment segment = sealed_segment(seeds);
  store_.publish(segment);
  const auto located = expect_ok(store_.segments().locate(segment.id));
  for (std::size_t frame = 0; frame < 4; ++frame) {
    SCOPED_TRACE(frame);
    const std::string key = key_of(located->place);
    const ByteVector good = store_.bytes_of(key);
    store_.flip_byte(key, located->frame_offsets[frame] + 77);
    store_.reopen_segments();
    for (std::size_t other = 0; other < 4; ++other) {
      const auto got = read(segment.id, other * 16, 16);
      if (other != frame) {
        ASSERT_FINE(got);
        continue;
      }
      ASSERT_FALSE(got.ok());
      EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt);
      EXPECT_NE(got.error().text().find(describe_frame(*located, frame)), std::string::npos)
          << got.error().text();
    }
    EXPECT_FALSE(read(segment.id, 0, 64).ok());
    store_.overwrite(key, good);
  }
}

// Two packs hold one segment, divided into frames in two ways. Damage in one of them costs nothing.
class SegmentInTwoPacks : public StoredSegments {
 protected:
  void SetUp() override {
    store_.publish(encoded_segment(segment_, 16));
    store_.publish(encoded_segment(segment_, 5));
    places_ = store_.places_of(segment_.id);
    ASSERT_EQ(places_.size(), 2U);
  }
  void damage(std::size_t place, std::uint64_t offset) {
    store_.flip_byte(key_of(places_[place]), places_[place].entry.directory_offset + offset);
  }
  // Damages the frame that holds a block.
  void damage_frame_of(std::size_t place, std::size_t block) {
    for (const auto& located : expect_ok(store_.segments().locate_all(segment_.id))) {
      if (located->place == places_[place])
        store_.flip_byte(key_of(places_[place]), located->frame_offsets[located->frame_of(block)] + 20);
    }
  }
  void expect_all_read() {
    store_.reopen_segments();
    const auto got = read(segment_.id, 0, 64);
    ASSERT_FINE(got);
    EXPECT_TRUE(bytes_equal(got.value(), blocks(seeds_from(0, 64))));
  }

  SealedSegment segment_ = sealed_segment(seeds_from(0, 64));
  std::vector<SegmentPlace> places_;
};

TEST_F(SegmentInTwoPacks, ADamagedDirectoryOrAMissingPackCostsNothing) {
  damage(0, 70);
  expect_all_read();
  expect_ok(store_.objects().remove(key_of(places_[0])));
  expect_all_read();
}

TEST_F(SegmentInTwoPacks, ATruncatedPackCostsNothing) {
  const ByteVector whole = store_.bytes_of(key_of(places_[0]));
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, whole.size() / 2}) {
    SCOPED_TRACE(size);
    store_.overwrite(key_of(places_[0]), ByteSpan(whole).first(size));
    expect_all_read();
  }
}

TEST_F(SegmentInTwoPacks, EachFrameIsTakenFromThePlaceThatHasIt) {
  damage_frame_of(0, 3);
  damage_frame_of(1, 60);
  expect_all_read();
}

TEST_F(SegmentInTwoPacks, AFrameThatIsDamagedInBothPlacesIsAnError) {
  damage_frame_of(0, 3);
  damage_frame_of(1, 3);
  store_.reopen_segments();
  EXPECT_EQ(read(segment_.id, 0, 64).error().code(), ErrorCode::kCorrupt);
  ASSERT_FINE(read(segment_.id, 20, 44));
}

TEST_F(SegmentInTwoPacks, APackThatDisappearsUnderAReaderCostsNothing) {
  const auto located = expect_ok(store_.segments().locate(segment_.id));
  expect_ok(store_.objects().remove(key_of(located->place)));
  SegmentReader reader(store_.objects(), store_.index());
  ByteVector out(64 * kBlockBytes);
  expect_ok(reader.read(*located, 0, 64, out));
  EXPECT_TRUE(bytes_equal(out, blocks(seeds_from(0, 64))));
}

// Errors that are not damage: the next place is tried, and when it has lost the bytes they decide.
TEST_F(SegmentInTwoPacks, ADoubtIsNotDamage) {
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kExhausted}) {
    UnreadableFolder away(store_.objects(), key_of(places_[0]), code);
    SegmentReader reader(away, store_.index());
    const auto located = expect_ok(reader.locate(segment_.id));
    EXPECT_EQ(located->place, places_[1]);
  }
  damage(1, 70);
  store_.reopen_segments();
  UnreadableFolder away(store_.objects(), key_of(places_[0]), ErrorCode::kIo);
  SegmentReader reader(away, store_.index());
  EXPECT_EQ(reader.locate(segment_.id).error().code(), ErrorCode::kIo);
  EXPECT_EQ(reader.locate_sound(segment_.id, store_.leaned()).error().code(), ErrorCode::kIo);
}

TEST_F(StoredSegments, AnAbsentFrameIsReadFromTheNextPlaceAndElseAnError) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 64));
  EncodedSegment encoded = encoded_segment(segment);
  make_absent(encoded, 1, 1);
  store_.publish(std::move(encoded));
  ASSERT_FINE(read(segment.id, 0, 16));
  EXPECT_EQ(read(segment.id, 10, 20).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(expect_ok(store_.segments().locate_sound(segment.id, store_.leaned())).present,
            block_set(0, 64) & ~block_set(16, 16));
  store_.publish(segment);
  store_.reopen_segments();
  ASSERT_FINE(read(segment.id, 10, 20));
  EXPECT_EQ(expect_ok(store_.segments().locate_sound(segment.id, store_.leaned())).present, block_set(0, 64));
}

TEST_F(StoredSegments, ASegmentThatAnotherProcessPublishedIsFound) {
  const auto mine = expect_ok(Index::open_in_memory(store_.objects()));
  SegmentReader server(store_.objects(), *mine);
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  store_.publish(segment);
  const auto located = server.locate(segment.id);
  ASSERT_FINE(located);
  EXPECT_EQ(expect_ok(server.place_of(segment.id)), located.value()->place);
}

// A frame whose checksum is right and whose blocks are others: only the ids of the blocks can tell.
TEST_F(StoredSegments, AFrameOfOtherBlocksIsRefused) {
  EncodedSegment forged = encoded_segment(sealed_segment({1, 2, 3, 4}));
  forged.directory.blocks[2] = id_of_block(99);
  forged.directory.id = segment_id(forged.directory.blocks);
  const SegmentId id = forged.directory.id;
  PackAppender appender(store_.objects(), store_.index(), StoreRig::id(), StoreRig::session());
  expect_ok(appender.append(std::move(forged)));
  expect_ok(appender.publish());
  const auto got = read(id, 0, 1);
  ASSERT_FALSE(got.ok()) << "although block 0 itself is right";
  EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(got.error().text().find("block 2 does not match its id"), std::string::npos)
      << got.error().text();
}

TEST_F(StoredSegments, ADamagedDirectoryIsAnErrorThatNamesThePack) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  store_.publish(segment);
  const SegmentPlace place = store_.place_of(segment.id);
  store_.flip_byte(key_of(place), place.entry.directory_offset + kSegmentHeaderBytes + 3);
  store_.reopen_segments();
  const auto got = store_.segments().locate(segment.id);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(got.error().text().find(place.pack.hex()), std::string::npos) << got.error().text();
}

TEST_F(StoredSegments, APackWithoutItsEndsIsReadButNotBuiltOn) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  const PackId pack = store_.publish(segment);
  expect_ok(store_.segments().check_ends(pack));
  const std::string key = pack_key(PackKind::kData, pack);
  const ByteVector good = store_.bytes_of(key);
  for (const std::uint64_t offset : {std::uint64_t{1}, good.size() - kPackTrailerBytes}) {
    SCOPED_TRACE(offset);
    store_.flip_byte(key, offset);
    store_.reopen_segments();
    const Status ends = store_.segments().check_ends(pack);
    ASSERT_FALSE(ends.ok());
    EXPECT_EQ(ends.error().code(), ErrorCode::kCorrupt);
    ASSERT_FINE(read(segment.id, 0, 20));
    store_.overwrite(key, good);
    expect_ok(store_.segments().check_ends(pack));
  }
}

TEST_F(StoredSegments, OnlyAWholePackOfItsOwnNameIsBuiltOn) {
  const PackId pack = store_.publish(sealed_segment(seeds_from(0, 20)));
  const PackId other = store_.publish(sealed_segment(seeds_from(100, 20)));
  const std::string key = pack_key(PackKind::kData, pack);
  const ByteVector good = store_.bytes_of(key);
  const auto is_whole = [&] {
    store_.reopen_segments();
    const Status ends = store_.segments().check_ends(pack);
    EXPECT_TRUE(ends.ok() || is(ends, ErrorCode::kCorrupt) || is(ends, ErrorCode::kNotFound));
    return ends.ok();
  };
  EXPECT_TRUE(is_whole());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kPackHeaderBytes, good.size() - 1}) {
    store_.overwrite(key, ByteSpan(good).first(size));
    EXPECT_FALSE(is_whole()) << size;
  }
  store_.overwrite(key, store_.bytes_of(pack_key(PackKind::kData, other)));
  EXPECT_FALSE(is_whole()) << "the bytes of another pack";
  expect_ok(store_.objects().remove(key));
  EXPECT_FALSE(is_whole()) << "gone";
  RemoteObjects remote(store_.objects());
  remote.fault = Fault::kError;
  SegmentReader far(remote, store_.index());
  EXPECT_EQ(far.check_ends(other).error().code(), ErrorCode::kIo) << "it may be whole";
}

TEST_F(StoredSegments, ADirectoryFromElsewhereIsUsedUntilItIsForgotten) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  store_.publish(segment);
  RemoteObjects remote(store_.objects());
  SegmentReader reader(remote, store_.index());
  const SegmentDirectory directory = encoded_segment(segment).directory;
  const auto heard = expect_ok(reader.remember(directory));
  EXPECT_TRUE(heard->is_hearsay);
  EXPECT_EQ(expect_ok(reader.locate(segment.id)), heard);
  EXPECT_EQ(remote.reads, 0U);
  reader.forget(segment.id);
  const auto read = expect_ok(reader.locate(segment.id));
  EXPECT_FALSE(read->is_hearsay);
  EXPECT_EQ(remote.reads, 1U);
  EXPECT_EQ(read->frame_offsets, heard->frame_offsets);
  reader.forget(segment.id);
  EXPECT_EQ(expect_ok(reader.locate(segment.id)), read) << "one that was read stays";
}

TEST_F(StoredSegments, ADirectoryThatCannotBeTheStoredOneIsRefused) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  store_.publish(segment);
  EXPECT_EQ(store_.segments().remember(encoded_segment(segment, 8).directory).error().code(),
            ErrorCode::kCorrupt)
      << "other frames than the stored ones";
  expect_ok(store_.segments().locate(segment.id));
  SegmentDirectory other = encoded_segment(segment).directory;
  other.frames[0].checksum ^= 1;
  EXPECT_EQ(store_.segments().remember(other).error().code(), ErrorCode::kCorrupt)
      << "the pack says otherwise";
  EXPECT_EQ(store_.segments().remember(encoded_segment(sealed_segment({77})).directory).error().code(),
            ErrorCode::kCorrupt)
      << "in no pack";
}

}  // namespace
}  // namespace ashlar
