// Tests that the fixtures of format version 1 stay readable for ever, and that version 1 is still written
// byte for byte.
#include "format/golden.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "codec/frame.h"
#include "codec/hash.h"

namespace ashlar {
namespace {

ByteVector read_fixture(const std::string& name) {
  std::ifstream in(std::string(ASHLAR_FIXTURES "/formats/") + name, std::ios::binary);
  EXPECT_TRUE(in.good()) << name << " is missing";
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const ByteSpan bytes = as_byte_span(text);
  return {bytes.begin(), bytes.end()};
}

std::string data_pack_name() { return "store/" + pack_key(PackKind::kData, golden::data_header().pack); }

TEST(Golden, TheFixturesAreWhatTheirInputsEncodeToToday) {
  const auto files = golden::files(read_fixture(data_pack_name()));
  ASSERT_EQ(files.size(), 21U);
  for (const golden::File& file : files)
    EXPECT_EQ(to_hex(read_fixture(file.name)), to_hex(file.bytes)) << file.name;
}

TEST(Golden, TheFixturesDecodeToTheirInputs) {
  const auto config = read_fixture("store/ashlar.json");
  EXPECT_EQ(decode_store_config(as_text(config)).take(), golden::store_config());
  const auto record = read_fixture("store/snapshots/" + golden::snapshot().id.text());
  EXPECT_EQ(decode_snapshot_record(record).take(), golden::snapshot());
  EXPECT_EQ(decode_session_record(read_fixture("session.bin")).take(), golden::session());
  EXPECT_EQ(decode_collection_state(read_fixture("collection-state.bin")).take(), golden::collection_state());
  EXPECT_EQ(decode_scrub_state(read_fixture("scrub-state.bin")).take(), golden::scrub_state());
  EXPECT_EQ(decode_pack_list(read_fixture("condemned.bin")).take(), golden::pack_list());
  EXPECT_EQ(decode_damage_record(read_fixture("damage.bin")).take(), golden::damage());
  EXPECT_EQ(decode_damage_record(read_fixture("meta-damage.bin")).take(), golden::meta_damage());
  EXPECT_EQ(decode_snapshot_object(record).take(), SnapshotObject(golden::snapshot()));
  EXPECT_EQ(decode_snapshot_object(read_fixture("open-snapshot.bin")).take(),
            SnapshotObject(golden::open_snapshot()));
  EXPECT_EQ(decode_snapshot_object(read_fixture("binned-snapshot.bin")).take(),
            SnapshotObject(golden::binned_snapshot()));
  EXPECT_EQ(decode_snapshot_object(read_fixture("swept-snapshot.bin")).take(),
            SnapshotObject(golden::swept_snapshot()));
  EXPECT_EQ(decode_volume_record(read_fixture("volume.bin")).take(), golden::volume());
  EXPECT_EQ(decode_free_record(read_fixture("free-record.bin")).take(), golden::free_record());
  EXPECT_EQ(decode_name_claim(read_fixture("name-claim.bin")).take(), golden::name_claim());
  EXPECT_EQ(decode_trace_record(read_fixture("trace.bin")).take(), golden::trace());
  EXPECT_EQ(decode_boot_pack_header(read_fixture("boot-pack-header.bin")).take(), golden::boot_pack_header());
  EXPECT_EQ(decode_leaf(read_fixture("leaf.bin")).take(), golden::leaf_of_all_kinds());
  EXPECT_EQ(decode_leaf(read_fixture("leaf-without-hashes.bin")).take(),
            without_region_hashes(golden::leaf_of_all_kinds()));
  EXPECT_EQ(decode_inner_node(read_fixture("inner-node.bin")).take(), golden::root());
}

TEST(Golden, TheFramesOfTheDataPackDecodeToTheirBlocks) {
  const ByteVector pack = read_fixture(data_pack_name());
  const ByteSpan bytes(pack);
  EXPECT_EQ(decode_pack_header(bytes.first(kPackHeaderBytes)).take(), golden::data_header());
  const auto trailer = decode_pack_trailer(bytes.last(kPackTrailerBytes), pack.size()).take();
  const auto entries =
      decode_segment_entries(trailer, bytes.subspan(trailer.footer_offset, trailer.footer_bytes())).take();
  ASSERT_EQ(entries.size(), 2U);

  const std::vector<std::vector<ByteVector>> expected = {golden::blocks_a(), golden::blocks_b()};
  FrameDecoder decoder;
  for (std::size_t s = 0; s < entries.size(); ++s) {
    const auto directory =
        decode_segment_directory(bytes.subspan(entries[s].directory_offset, entries[s].directory_bytes))
            .take();
    std::size_t at = entries[s].payload_offset;
    std::size_t block = 0;
    for (const FrameEntry& frame : directory.frames) {
      const ByteSpan stored = bytes.subspan(at, frame.stored_bytes);
      EXPECT_EQ(checksum64(stored), frame.checksum);
      ByteVector raw(frame.block_count * kBlockBytes);
      ASSERT_TRUE(decoder.decode(frame.codec, stored, raw).ok());
      for (std::size_t i = 0; i < frame.block_count; ++i, ++block) {
        const ByteSpan got = ByteSpan(raw).subspan(i * kBlockBytes, kBlockBytes);
        EXPECT_TRUE(bytes_equal(got, expected[s].at(block))) << "segment " << s << " block " << block;
        EXPECT_EQ(block_id(got), directory.blocks[block]);
      }
      at += frame.stored_bytes;
    }
    EXPECT_EQ(block, expected[s].size());
  }
}

TEST(Golden, TheVolumeIsTheOneWhoseSumIsCheckedIn) {
  const auto sum = read_fixture("volume.sha256");
  EXPECT_EQ(as_text(sum).substr(0, 64), to_hex(sha256(golden::volume_bytes())));
}

}  // namespace
}  // namespace ashlar
