// Tests of encodings that no correct writer writes, but with a right checksum: images from elsewhere are
// hostile input.
#include <gtest/gtest.h>

#include <cstring>

#include "codec/hash.h"
#include "format/bundle_format.h"
#include "format/golden.h"

namespace ashlar {
namespace {

ErrorCode code_of_leaf(const Leaf& leaf) {
  const auto got = decode_leaf(encode(leaf));
  return got.ok() ? ErrorCode::kInvalid : got.error().code();
}

TEST(LeafRefusals, ExtentsThatAreNotCanonical) {
  Leaf leaf = golden::first_leaf();
  leaf.extents[1].block_count = 2;
  leaf.extents.insert(leaf.extents.begin() + 1, {ExtentKind::kZero, 2, 0, 0});
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "two ZERO extents in a row";

  leaf = golden::first_leaf();
  std::swap(leaf.segments[0], leaf.segments[1]);
  for (LeafExtent& e : leaf.extents) {
    if (e.kind == ExtentKind::kData) e.segment = e.segment == 0 ? 1 : 0;
  }
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "segments not in the order of their use";

  leaf = golden::first_leaf();
  leaf.segments.push_back(SegmentId{});
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "a segment that nothing uses";

  leaf = golden::first_leaf();
  leaf.segments[1] = leaf.segments[0];
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "a segment that is listed twice";
}

TEST(LeafRefusals, ExtentsThatPointNowhere) {
  Leaf leaf = golden::first_leaf();
  leaf.extents[0].segment = 2;
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "a segment that is not listed";
  leaf = golden::first_leaf();
  leaf.extents[0].first_block = kSegmentBlocks - 19;
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "runs past its segment";
  leaf = golden::first_leaf();
  leaf.extents.back().block_count = 97;
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "more than 1024 blocks";
  leaf = golden::last_leaf();
  leaf.region_mask |= 2;
  leaf.regions.emplace_back();
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "a region behind the end of the leaf";
}

TEST(LeafRefusals, FlagsAndHashesThatContradictEachOther) {
  Leaf leaf = golden::first_leaf();
  EXPECT_EQ(code_of_leaf(without_region_hashes(leaf)), ErrorCode::kInvalid) << "a good one is accepted";
  leaf.no_region_hashes = true;
  EXPECT_EQ(code_of_leaf(leaf), ErrorCode::kCorrupt) << "hashes in a leaf that has none";
  for (const std::size_t offset : {2U, 3U, 10U, 15U}) {
    ByteVector bytes = encode(golden::first_leaf());
    bytes[offset] |= std::byte{2};
    EXPECT_EQ(decode_leaf(bytes).error().code(), ErrorCode::kCorrupt) << "byte " << offset;
  }
}

TEST(NodeRefusals, VersionsThatThisProgramDoesNotRead) {
  for (ByteVector bytes : {encode(golden::first_leaf()), encode(golden::root())}) {
    const auto code = [&](unsigned version) {
      bytes[1] = static_cast<std::byte>(version);
      const Error leaf = decode_leaf(bytes).error();
      return bytes[0] == std::byte{1} ? leaf.code() : decode_inner_node(bytes).error().code();
    };
    EXPECT_EQ(code(kNodeVersion + 1), ErrorCode::kUnsupported);
    EXPECT_EQ(code(kNodeVersion - 1), ErrorCode::kCorrupt);
    EXPECT_EQ(code(0), ErrorCode::kCorrupt);
  }
}

TEST(BundleRefusals, HeadersThatContradictThemselves) {
  BundleHeader good{golden::store_config().id, ImageId{1}, ImageId{2}, golden::store_config().id, ImageId{3}};
  const auto code = [](const BundleHeader& header) {
    const auto got = decode_bundle_header(encode(header));
    return got.ok() && got.value() == header ? ErrorCode::kInvalid : got.error().code();
  };
  EXPECT_EQ(code(good), ErrorCode::kInvalid) << "a good one is accepted";
  BundleHeader bad = good;
  bad.image = {};
  EXPECT_EQ(code(bad), ErrorCode::kCorrupt) << "no image";
  bad = good;
  bad.since = {};
  EXPECT_EQ(code(bad), ErrorCode::kCorrupt) << "the original of no image";
  bad = good;
  bad.since_original = {};
  EXPECT_EQ(code(bad), ErrorCode::kCorrupt) << "a store of no original";
  bad.set_original(good.since_store, {});
  EXPECT_EQ(code(bad), ErrorCode::kInvalid) << "an image that is no copy";
}

ErrorCode code_of(const SegmentDirectory& directory) {
  const auto got = decode_segment_directory(encode(directory));
  return got.ok() ? ErrorCode::kInvalid : got.error().code();
}

TEST(DirectoryRefusals, FramesThatDoNotFitTheirBlocks) {
  const SegmentDirectory good = golden::encode_segment(golden::blocks_b(), {2, 1}).directory;
  ASSERT_EQ(good.frames[0].codec, FrameCodec::kRaw);
  ASSERT_EQ(good.frames[1].codec, FrameCodec::kZstd);

  SegmentDirectory bad = good;
  bad.frames[0].stored_bytes -= 1;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "a raw frame shorter than its blocks";
  bad = good;
  bad.frames[1].stored_bytes = kBlockBytes;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "a compressed frame that saves nothing";
  bad.frames[1].stored_bytes = 0;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "an empty compressed frame";
  bad = good;
  bad.frames[1].codec = FrameCodec::kAbsent;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "an absent frame with bytes";
  bad = good;
  bad.frames[1].block_count = 2;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "more blocks in frames than in the segment";
  bad = good;
  bad.id.bytes[0] ^= std::byte{1};
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "an id that is not its blocks'";
}

// Sets one byte of an encoding and makes the checksum in its last eight bytes right.
ByteVector with_byte(ByteVector bytes, std::size_t at, unsigned value) {
  bytes.at(at) = static_cast<std::byte>(value);
  const std::size_t body = bytes.size() - 8;
  const std::uint64_t sum = checksum64(ByteSpan(bytes).first(body));
  std::memcpy(bytes.data() + body, &sum, sizeof sum);
  return bytes;
}

TEST(PackHeaderRefusals, EncryptionIsUnsupportedAndNotDamage) {
  const ByteVector good = encode(golden::data_header());
  ASSERT_EQ(good.size(), 128U);
  const auto refusal = [&](std::size_t at, unsigned value) {
    const auto got = decode_pack_header(with_byte(good, at, value));
    return got.ok() ? ErrorCode::kInvalid : got.error().code();
  };
  EXPECT_EQ(refusal(10, 1), ErrorCode::kInvalid) << "the good one is accepted";
  EXPECT_EQ(refusal(8, 0), ErrorCode::kCorrupt) << "version 0";
  EXPECT_EQ(refusal(8, 1), ErrorCode::kCorrupt) << "version 1";
  EXPECT_EQ(refusal(8, 3), ErrorCode::kUnsupported) << "version 3";
  for (const unsigned kind : {0U, 3U, 255U}) EXPECT_EQ(refusal(10, kind), ErrorCode::kCorrupt) << kind;
  for (const unsigned hash : {0U, 2U, 255U}) EXPECT_EQ(refusal(11, hash), ErrorCode::kUnsupported) << hash;
  for (const unsigned cipher : {1U, 255U}) EXPECT_EQ(refusal(12, cipher), ErrorCode::kUnsupported) << cipher;
  // Domain, key version, id generation and salt, at both ends of each.
  for (const std::size_t at : {48U, 63U, 64U, 67U, 68U, 71U, 72U, 103U}) {
    EXPECT_EQ(refusal(at, 0x80), ErrorCode::kUnsupported) << at;
    const auto got = decode_pack_header(with_byte(good, at, 1));
    EXPECT_NE(got.error().text().find("encrypted"), std::string::npos) << got.error().text();
  }
  for (const std::size_t at : {13U, 15U, 104U, 119U}) EXPECT_EQ(refusal(at, 1), ErrorCode::kCorrupt) << at;
}

// Sets one byte of a directory and makes its checksum right.
ErrorCode code_of_directory_with(std::size_t at, unsigned value) {
  ByteVector bytes = encode(golden::encode_segment(golden::blocks_b(), {2, 1}).directory);
  bytes.at(at) = static_cast<std::byte>(value);
  constexpr std::size_t checksum_at = kSegmentHeaderBytes - 8;
  ByteVector body(bytes.begin(), bytes.begin() + checksum_at);
  body.insert(body.end(), bytes.begin() + kSegmentHeaderBytes, bytes.end());
  const std::uint64_t sum = checksum64(body);
  std::memcpy(bytes.data() + checksum_at, &sum, sizeof sum);
  const auto got = decode_segment_directory(bytes);
  return got.ok() ? ErrorCode::kInvalid : got.error().code();
}

TEST(DirectoryRefusals, FieldsOfItsHeader) {
  EXPECT_EQ(code_of_directory_with(8, 2), ErrorCode::kInvalid) << "the good one is accepted";
  EXPECT_EQ(code_of_directory_with(8, 0), ErrorCode::kCorrupt) << "version 0";
  EXPECT_EQ(code_of_directory_with(8, 1), ErrorCode::kCorrupt) << "version 1";
  EXPECT_EQ(code_of_directory_with(8, 3), ErrorCode::kUnsupported) << "version 3";
  EXPECT_EQ(code_of_directory_with(10, 1), ErrorCode::kUnsupported) << "a wrapped key";
  EXPECT_EQ(code_of_directory_with(24, 1), ErrorCode::kUnsupported) << "a salt";
  EXPECT_EQ(code_of_directory_with(55, 1), ErrorCode::kUnsupported) << "a salt";
  for (const std::size_t at : {11U, 20U, 23U}) EXPECT_EQ(code_of_directory_with(at, 1), ErrorCode::kCorrupt);
  // Three blocks in two frames, so 80 + 2 * 16 + 3 * 32 = 208 sealed bytes.
  EXPECT_EQ(code_of_directory_with(12, 208), ErrorCode::kInvalid);
  for (const unsigned sealed : {0U, 207U, 209U})
    EXPECT_EQ(code_of_directory_with(12, sealed), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of_directory_with(16, 1), ErrorCode::kCorrupt) << "another payload";
  for (const unsigned blocks : {0U, 2U, 4U})
    EXPECT_EQ(code_of_directory_with(56, blocks), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of_directory_with(57, 4), ErrorCode::kCorrupt) << "1027 blocks";
  for (const unsigned frames : {0U, 1U, 3U, 4U})
    EXPECT_EQ(code_of_directory_with(60, frames), ErrorCode::kCorrupt);
}

TEST(DirectoryRefusals, ARottenByteOfTheKeyFieldsIsDamage) {
  const ByteVector good = encode(golden::encode_segment(golden::blocks_b(), {2, 1}).directory);
  for (const std::size_t at : {10U, 24U, 55U}) {
    ByteVector bytes = good;
    bytes[at] ^= std::byte{4};
    EXPECT_EQ(decode_segment_directory(bytes).error().code(), ErrorCode::kCorrupt) << at;
  }
}

TEST(DirectoryRefusals, ALengthThatNoDirectoryHas) {
  ByteVector head = encode(golden::encode_segment(golden::blocks_b(), {2, 1}).directory);
  const auto length = [&](std::uint32_t sealed) {
    std::memcpy(head.data() + 12, &sealed, sizeof sealed);
    return segment_directory_bytes(ByteSpan(head).first(kSegmentHeadBytes));
  };
  EXPECT_FALSE(length(79).ok());
  EXPECT_EQ(length(80).take(), kSegmentHeaderBytes);
  EXPECT_EQ(length(kMaxDirectoryBytes - kSegmentHeadBytes).take(), kMaxDirectoryBytes);
  EXPECT_FALSE(length(kMaxDirectoryBytes - kSegmentHeadBytes + 1).ok());
  EXPECT_FALSE(length(~std::uint32_t{0}).ok());
  EXPECT_FALSE(segment_directory_bytes(ByteSpan(head).first(kSegmentHeadBytes - 1)).ok());
}

TEST(FooterRefusals, EntriesOutsideThePack) {
  // Payloads in [128, 10000), directories in [10000, 20000).
  const auto code = [](SegmentEntry entry) {
    constexpr std::uint64_t directories_offset = 10000;
    constexpr std::uint64_t footer_offset = 20000;
    const ByteVector tail =
        encode_footer(std::span<const SegmentEntry>(&entry, 1), directories_offset, footer_offset);
    const auto trailer =
        decode_pack_trailer(ByteSpan(tail).last(kPackTrailerBytes), footer_offset + tail.size()).take();
    const auto got = decode_segment_entries(trailer, ByteSpan(tail).first(kSegmentEntryBytes));
    return got.ok() ? ErrorCode::kInvalid : got.error().code();
  };
  constexpr std::uint64_t far = ~std::uint64_t{0} - 10;
  EXPECT_EQ(code({{}, 128, 10000, 4096, 200, 1}), ErrorCode::kInvalid) << "a good one is accepted";
  EXPECT_EQ(code({{}, 127, 10000, 4096, 200, 1}), ErrorCode::kCorrupt) << "starts in the header";
  EXPECT_EQ(code({{}, 5904, 10000, 4096, 200, 1}), ErrorCode::kInvalid) << "ends where directories begin";
  EXPECT_EQ(code({{}, 5905, 10000, 4096, 200, 1}), ErrorCode::kCorrupt) << "a payload in the directories";
  EXPECT_EQ(code({{}, far, 10000, 4096, 200, 1}), ErrorCode::kCorrupt) << "a payload that wraps around";
  EXPECT_EQ(code({{}, 128, 9999, 4096, 200, 1}), ErrorCode::kCorrupt) << "a directory in the payloads";
  EXPECT_EQ(code({{}, 128, 19800, 4096, 200, 1}), ErrorCode::kInvalid) << "ends where the footer begins";
  EXPECT_EQ(code({{}, 128, 19801, 4096, 200, 1}), ErrorCode::kCorrupt) << "a directory in the footer";
  EXPECT_EQ(code({{}, 128, far, 4096, 200, 1}), ErrorCode::kCorrupt) << "a directory that wraps around";
  EXPECT_EQ(code({{}, 128, 10000, 4096, 104, 1}), ErrorCode::kInvalid);
  EXPECT_EQ(code({{}, 128, 10000, 4096, 103, 1}), ErrorCode::kCorrupt) << "shorter than its header";
  EXPECT_EQ(code({{}, 128, 10000, 4096, 200, 1024}), ErrorCode::kInvalid);
  EXPECT_EQ(code({{}, 128, 10000, 4096, 200, 1025}), ErrorCode::kCorrupt) << "too many blocks";
  EXPECT_EQ(code({{}, 128, 10000, 4096, 200, 0}), ErrorCode::kCorrupt) << "no blocks";
  EXPECT_EQ(code({{}, 128, 10000, 0, 200, 1}), ErrorCode::kInvalid) << "all frames are absent";
}

TEST(FooterRefusals, SizesAtTheirLimits) {
  constexpr std::uint64_t directories_offset = 128 + kSegmentBytes + 1;
  constexpr std::uint64_t footer_offset = directories_offset + kMaxDirectoryBytes + 1;
  const auto accepted = [](std::uint64_t payload, std::size_t directory) {
    const SegmentEntry entry{{},
                             128,
                             directories_offset,
                             static_cast<std::uint32_t>(payload),
                             static_cast<std::uint32_t>(directory),
                             1024};
    const ByteVector tail = encode_footer(std::span(&entry, 1), directories_offset, footer_offset);
    const auto trailer =
        decode_pack_trailer(ByteSpan(tail).last(kPackTrailerBytes), footer_offset + tail.size()).take();
    return decode_segment_entries(trailer, ByteSpan(tail).first(kSegmentEntryBytes)).ok();
  };
  EXPECT_TRUE(accepted(kSegmentBytes, kMaxDirectoryBytes));
  EXPECT_FALSE(accepted(kSegmentBytes + 1, kMaxDirectoryBytes));
  EXPECT_FALSE(accepted(kSegmentBytes, kMaxDirectoryBytes + 1));
}

TEST(TrailerRefusals, AFooterThatDoesNotFitItsPack) {
  const ByteVector tail = encode_footer(std::span<const NodeEntry>(), 1000);
  EXPECT_TRUE(decode_pack_trailer(tail, 1000 + tail.size()).ok());
  for (const std::uint64_t pack_bytes :
       {std::uint64_t{0}, std::uint64_t{175}, 999 + tail.size(), 1001 + tail.size(), ~std::uint64_t{0}}) {
    EXPECT_FALSE(decode_pack_trailer(tail, pack_bytes).ok()) << pack_bytes;
  }
}

TEST(TrailerRefusals, OffsetsThatContradictEachOther) {
  const auto accepted = [](std::uint64_t directories_offset, std::uint64_t footer_offset) {
    const ByteVector tail = encode_footer(std::span<const SegmentEntry>(), directories_offset, footer_offset);
    return decode_pack_trailer(tail, footer_offset + tail.size()).ok();
  };
  EXPECT_TRUE(accepted(128, 128)) << "an empty pack";
  EXPECT_TRUE(accepted(128, 1000));
  EXPECT_TRUE(accepted(1000, 1000));
  EXPECT_FALSE(accepted(127, 1000)) << "directories in the header";
  EXPECT_FALSE(accepted(1001, 1000)) << "directories in the footer";
  EXPECT_FALSE(accepted(~std::uint64_t{0}, 1000));
  EXPECT_FALSE(accepted(127, 127)) << "a footer in the header";
  const std::uint64_t longest = kMaxPackTailBytes - kPackTrailerBytes;
  EXPECT_TRUE(accepted(128, 128 + longest)) << "the longest tail";
  EXPECT_FALSE(accepted(128, 129 + longest)) << "a tail that no reader takes";
}

TEST(TrailerRefusals, FieldsOfTheTrailer) {
  const ByteVector good = encode_footer(std::span<const NodeEntry>(), 1000);
  ASSERT_EQ(good.size(), 48U);
  const auto accepted = [&](std::size_t at, unsigned value) {
    ByteVector sealed = with_byte(ByteVector(good.begin(), good.begin() + 40), at, value);
    sealed.insert(sealed.end(), good.begin() + 40, good.end());
    return decode_pack_trailer(sealed, 1000 + sealed.size()).ok();
  };
  EXPECT_TRUE(accepted(20, 2)) << "the good one is accepted";
  EXPECT_FALSE(accepted(8, 0xe7)) << "directories in a meta pack";
  EXPECT_FALSE(accepted(16, 1)) << "an entry that the pack lacks";
  EXPECT_FALSE(accepted(18, 0x10)) << "more entries than a footer may claim";
  for (const unsigned kind : {0U, 3U, 255U}) EXPECT_FALSE(accepted(20, kind)) << kind;
  for (const std::size_t at : {21U, 22U, 23U}) EXPECT_FALSE(accepted(at, 1)) << at;
}

void expect_refused(const TraceRecord& record, const char* why) {
  const auto got = decode_trace_record(encode(record));
  ASSERT_FALSE(got.ok()) << why;
  EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt) << why;
}

TEST(TraceRefusals, RecordsThatContradictThemselves) {
  ASSERT_TRUE(decode_trace_record(encode(golden::trace())).ok());
  TraceRecord bad = golden::trace();
  std::swap(bad.regions[0], bad.regions[1]);
  expect_refused(bad, "regions out of order");
  bad = golden::trace();
  bad.regions[2].region = bad.regions[0].region;
  expect_refused(bad, "a region twice");
  bad = golden::trace();
  bad.regions[0].last_seen = 4;
  expect_refused(bad, "a serving that was not");
  bad = golden::trace();
  bad.regions[0].region = ~std::uint64_t{0};
  expect_refused(bad, "a region past every volume");
  const std::uint64_t regions_of_largest = kMaxVolumeBytes / (kTraceRegionBlocks * kBlockBytes);
  bad.regions[0].region = regions_of_largest;
  expect_refused(bad, "the region after the last one of the largest volume");
  bad.regions[0].region = regions_of_largest - 1;
  EXPECT_TRUE(decode_trace_record(encode(bad)).ok()) << "its last region";
  bad = golden::trace();
  bad.content[1].block_count = 1021;
  expect_refused(bad, "a span past its segment");
  bad = golden::trace();
  bad.content.pop_back();
  bad.content.pop_back();
  expect_refused(bad, "a segment without a span");
  bad = golden::trace();
  bad.segments[1] = bad.segments[0];
  expect_refused(bad, "a segment twice");
  bad = golden::trace();
  bad.pack_bytes = 0;
  expect_refused(bad, "a boot pack of no bytes");
  bad = golden::trace();
  bad.owner = 1'000'000'000'000;
  expect_refused(bad, "an account of 13 digits");
}

TEST(BootItemRefusals, HeadersThatPromiseTooMuch) {
  const BootItemHeader good{BootItemKind::kFrame, 63, 7, kMaxFrameBlocks * kBlockBytes};
  EXPECT_EQ(decode_boot_item_header(encode(good)).take(), good);
  for (const BootItemHeader& bad :
       {BootItemHeader{BootItemKind::kFrame, 0, 0, 0},
        BootItemHeader{BootItemKind::kFrame, 0, 0, kMaxFrameBlocks * kBlockBytes + 1},
        BootItemHeader{BootItemKind::kLeaf, 0, 0, 0xffffffff}, BootItemHeader{BootItemKind::kLeaf, 1, 0, 9},
        BootItemHeader{BootItemKind::kDirectory, 0, 1, 99}, BootItemHeader{BootItemKind::kRegion, 0, 0, 9},
        BootItemHeader{BootItemKind{6}, 0, 0, 9}, BootItemHeader{BootItemKind{0}, 0, 0, 9}}) {
    EXPECT_FALSE(decode_boot_item_header(encode(bad)).ok());
  }
  EXPECT_FALSE(decode_boot_item_header(ByteSpan(encode(good)).first(11)).ok());
}

ErrorCode code_of(const SnapshotRecord& record) {
  const auto got = decode_snapshot_record(encode(record));
  return got.ok() ? ErrorCode::kInvalid : got.error().code();
}

TEST(SnapshotRefusals, RecordsThatContradictThemselves) {
  ASSERT_EQ(code_of(golden::snapshot()), ErrorCode::kInvalid) << "the good one is accepted";
  SnapshotRecord bad = golden::snapshot();
  bad.root_level = 2;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "a level that the size does not need";
  bad = golden::snapshot();
  bad.size = ByteCount{kMaxVolumeBytes + 1};
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "too large";
  bad = golden::snapshot();
  bad.content.bytes[31] ^= std::byte{1};
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "a content digest of other bytes";
  bad = golden::snapshot();
  bad.data_blocks = BlockCount{28};
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "counts that do not add up";
  bad = golden::snapshot();
  bad.data_blocks = BlockCount{bad.data_blocks.value + (std::uint64_t{1} << 63U)};
  bad.zero_blocks = BlockCount{bad.zero_blocks.value + (std::uint64_t{1} << 63U)};
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "counts that add up only by wrapping";
  bad = golden::snapshot();
  bad.root.kind = ChildKind::kZero;
  EXPECT_EQ(code_of(bad), ErrorCode::kCorrupt) << "a constant with an id";
}

TEST(SnapshotRefusals, TextsPastTheirLimits) {
  SnapshotRecord record = golden::snapshot();
  record.description = std::string(kMaxTextBytes, 'x');
  EXPECT_TRUE(check_limits(record).ok());
  EXPECT_EQ(code_of(record), ErrorCode::kInvalid) << "at the limit";
  record.description += 'x';
  EXPECT_EQ(check_limits(record).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(record), ErrorCode::kCorrupt);

  record = golden::snapshot();
  record.tags[""] = "no key";
  EXPECT_FALSE(check_limits(record).ok());
  EXPECT_EQ(code_of(record), ErrorCode::kCorrupt);

  record = golden::snapshot();
  for (std::size_t i = 0; i <= kMaxTags; ++i) record.tags[std::to_string(i)] = "v";
  EXPECT_FALSE(check_limits(record).ok());
  EXPECT_EQ(code_of(record), ErrorCode::kCorrupt);
}

TEST(SnapshotRefusals, TagsOutOfOrder) {
  // The golden tags are "empty" -> "" and "role" -> "db"; the bytes of the first key become "zmpty", so the
  // order is wrong.
  ByteVector bytes = encode(golden::snapshot());
  const std::string text(as_text(bytes));
  const std::size_t at = text.find("empty");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = std::byte{'z'};
  const std::uint64_t sum = checksum64(ByteSpan(bytes).first(bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof sum);
  const auto got = decode_snapshot_record(bytes);
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.error().text().find("out of order"), std::string::npos) << got.error().text();
}

}  // namespace
}  // namespace ashlar
