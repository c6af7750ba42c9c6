// Tests that everything a writer may write is read back equal, and encoded again to the same bytes.
#include <gtest/gtest.h>

#include <functional>

#include "format/random_objects.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kFirstSeed = 1;
constexpr std::uint64_t kRounds = 200;

template <class T>
void round_trips(T (*make)(Prng&), Result<T> (*decode)(ByteSpan), std::size_t largest) {
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kRounds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    const T value = make(prng);
    const ByteVector bytes = encode(value);
    ASSERT_LE(bytes.size(), largest);
    auto got = decode(bytes);
    ASSERT_TRUE(got.ok()) << got.error().text();
    ASSERT_EQ(encode(got.value()), bytes);
    if constexpr (requires { value == value; }) {
      ASSERT_TRUE(got.value() == value);
    }
  }
}

TEST(RoundTrip, PackHeader) {
  round_trips<PackHeader>(random_objects::pack_header, decode_pack_header, kPackHeaderBytes);
}
TEST(RoundTrip, SegmentDirectory) {
  round_trips<SegmentDirectory>(random_objects::directory, decode_segment_directory, kMaxDirectoryBytes);
}
TEST(RoundTrip, Leaf) { round_trips<Leaf>(random_objects::leaf, decode_leaf, kMaxNodeBytes); }
TEST(RoundTrip, InnerNode) {
  round_trips<InnerNode>(random_objects::inner_node, decode_inner_node, kMaxNodeBytes);
}
TEST(RoundTrip, SnapshotRecord) {
  round_trips<SnapshotRecord>(random_objects::snapshot, decode_snapshot_record, kMaxSnapshotRecordBytes);
}
TEST(RoundTrip, VolumeRecord) {
  round_trips<VolumeRecord>(random_objects::volume, decode_volume_record, kMaxVolumeRecordBytes);
}

TEST(RoundTrip, FreeRecord) {
  round_trips<FreeRecord>(random_objects::free_record, decode_free_record, kFreeRecordBytes);
}

TEST(RoundTrip, NameClaim) {
  round_trips<NameClaim>(random_objects::name_claim, decode_name_claim, kNameClaimBytes);
}

TEST(RoundTrip, TraceRecord) {
  round_trips<TraceRecord>(random_objects::trace, decode_trace_record, kMaxTraceBytes);
}

TEST(RoundTrip, CollectionState) {
  round_trips<CollectionState>(random_objects::collection_state, decode_collection_state,
                               kMaxCollectionStateBytes);
}

TEST(RoundTrip, PackList) {
  round_trips<PackList>(random_objects::pack_list, decode_pack_list, kMaxPackListBytes);
}

TEST(RoundTrip, ScrubState) {
  round_trips<ScrubState>(random_objects::scrub_state, decode_scrub_state, kMaxScrubStateBytes);
}

TEST(RoundTrip, SessionRecord) {
  round_trips<SessionRecord>(random_objects::session, decode_session_record, kMaxSessionRecordBytes);
}

TEST(RoundTrip, DamageRecord) {
  round_trips<DamageRecord>(random_objects::damage, decode_damage_record, kMaxDamageRecordBytes);
}

TEST(RoundTrip, SnapshotObjects) {
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kRounds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    const OpenSnapshot open = random_objects::open_snapshot(prng);
    EXPECT_EQ(decode_snapshot_object(encode(open)).take(), SnapshotObject(open));
    const GoneSnapshot gone = random_objects::gone_snapshot(prng);
    EXPECT_EQ(decode_snapshot_object(encode(gone)).take(), SnapshotObject(gone));
    EXPECT_LE(encode(gone).size(), kMaxSnapshotObjectBytes);
    const SnapshotRecord record = random_objects::snapshot(prng);
    EXPECT_EQ(decode_snapshot_object(encode(record)).take(), SnapshotObject(record));
  }
}

TEST(RoundTrip, StoreConfig) {
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kRounds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Prng prng(seed);
    const StoreConfig config = random_objects::store_config(prng);
    const auto got = decode_store_config(encode(config));
    ASSERT_TRUE(got.ok()) << got.error().text();
    ASSERT_EQ(got.value(), config);
  }
}

TEST(RoundTrip, TheLengthOfADirectoryIsKnownFromItsHeader) {
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + 20; ++seed) {
    Prng prng(seed);
    const SegmentDirectory directory = random_objects::directory(prng);
    const ByteVector bytes = encode(directory);
    EXPECT_EQ(bytes.size(), directory.encoded_bytes());
    EXPECT_EQ(segment_directory_bytes(ByteSpan(bytes).first(kSegmentHeadBytes)).take(), bytes.size());
  }
}

// The largest leaf has 1024 extents of one block, each of a segment of its own.
TEST(RoundTrip, TheLargestNodesStayBelowTheLimit) {
  Leaf leaf;
  for (std::uint16_t i = 0; i < kLeafBlocks; ++i) {
    Prng prng(i);
    leaf.segments.push_back(random_objects::id<SegmentId>(prng));
    leaf.extents.push_back({ExtentKind::kData, 1, i, 0});
  }
  leaf.region_mask = ~std::uint64_t{0};
  leaf.regions.resize(kLeafRegions);
  const ByteVector bytes = encode(leaf);
  EXPECT_EQ(bytes.size(), 56U + 1024 * (32 + 8) + 64 * 16);
  EXPECT_LE(bytes.size(), kMaxNodeBytes);
  EXPECT_EQ(decode_leaf(bytes).take(), leaf);

  InnerNode node{kMaxLevel, std::vector<NodeRef>(kFanout, NodeRef{ChildKind::kNode, {}, {}})};
  EXPECT_LE(encode(node).size(), kMaxNodeBytes);
  EXPECT_EQ(decode_inner_node(encode(node)).take(), node);
}

}  // namespace
}  // namespace ashlar
