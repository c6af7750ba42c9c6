// Tests of packs as objects of a real directory: written, listed, read back, damaged.
#include "pack/pack_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "codec/hash.h"
#include "format/golden.h"
#include "io/local_object_store.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

class Packs : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("ashlar-packs-" + std::to_string(random_u64()));
    fs::create_directories(root_);
    objects_ = std::make_unique<LocalObjectStore>(posix_file_system(), root_.string());
  }
  void TearDown() override {
    objects_.reset();
    fs::remove_all(root_);
  }

  PackId write_data_pack() {
    auto writer = DataPackWriter::create(*objects_, golden::store_config().id, golden::session().id).take();
    EXPECT_TRUE(writer->append(golden::encode_segment(golden::blocks_a(), {16, 4})).ok());
    EXPECT_TRUE(writer->append(golden::encode_segment(golden::blocks_b(), {2, 1})).ok());
    EXPECT_TRUE(writer->finish().ok());
    return writer->id();
  }
  PackId write_meta_pack() {
    auto writer = MetaPackWriter::create(*objects_, golden::store_config().id, golden::session().id).take();
    for (const ByteVector& node : {encode(golden::last_leaf()), encode(golden::root())}) {
      EXPECT_TRUE(writer->append(node_id(node), node).ok());
    }
    EXPECT_TRUE(writer->finish().ok());
    return writer->id();
  }
  std::string path_of(PackKind kind, const PackId& id) const { return root_ / pack_key(kind, id); }

  fs::path root_;
  std::unique_ptr<LocalObjectStore> objects_;
};

// Reads everything in a pack through all checks. Returns success, or the first refusal.
Status read_all(ObjectStore& objects, PackKind kind, const PackId& id) {
  const auto pack = TRY(WholePackReader::open(objects, kind, id));
  if (kind == PackKind::kMeta) {
    for (const NodeEntry& entry : TRY(pack->nodes())) TRY(pack->read_node(entry));
    return {};
  }
  FrameDecoder decoder;
  for (const SegmentEntry& entry : TRY(pack->segments())) {
    const SegmentDirectory directory = TRY(pack->read_directory(entry));
    std::uint64_t at = entry.payload_offset;
    for (const FrameEntry& frame : directory.frames) {
      ByteVector stored(frame.stored_bytes);
      TRY(pack->read_raw(at, stored));
      if (checksum64(stored) != frame.checksum) return corrupt("frame checksum");
      ByteVector blocks(frame.block_count * kBlockBytes);
      TRY(decoder.decode(frame.codec, stored, blocks));
      at += frame.stored_bytes;
    }
  }
  return {};
}

TEST_F(Packs, WhatWasWrittenIsListedAndRead) {
  const PackId data = write_data_pack();
  const PackId meta = write_meta_pack();
  for (const auto& [kind, id] : {std::pair{PackKind::kData, data}, std::pair{PackKind::kMeta, meta}}) {
    const auto listed = list_packs(*objects_, kind).take();
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(listed[0].id, id);
    EXPECT_EQ(listed[0].bytes, fs::file_size(path_of(kind, id)));
    const Status status = read_all(*objects_, kind, id);
    EXPECT_TRUE(status.ok()) << status.error().text();
  }
  const auto pack = WholePackReader::open(*objects_, PackKind::kData, data).take();
  EXPECT_EQ(pack->header(), (PackHeader{PackKind::kData, golden::store_config().id, data}));
  const auto segments = pack->segments().take();
  ASSERT_EQ(segments.size(), 2U);
  EXPECT_EQ(segments[0].payload_offset, kPackHeaderBytes);
  EXPECT_EQ(segments[1].payload_offset, segments[0].payload_offset + segments[0].payload_bytes);
  EXPECT_EQ(segments[0].directory_offset, segments[1].payload_offset + segments[1].payload_bytes);
  EXPECT_EQ(segments[1].directory_offset, segments[0].directory_offset + segments[0].directory_bytes);
  EXPECT_EQ(pack->trailer().directories_offset, segments[0].directory_offset);
  EXPECT_EQ(pack->trailer().footer_offset, segments[1].directory_offset + segments[1].directory_bytes);
  EXPECT_EQ(pack->read_directory(segments[1]).take().blocks,
            golden::encode_segment(golden::blocks_b(), {2, 1}).directory.blocks);
}

TEST_F(Packs, TheTailOfADataPackTellsWhatTheFooterAndTheDirectoriesTell) {
  const auto pack = WholePackReader::open(*objects_, PackKind::kData, write_data_pack()).take();
  const DataPackTail tail = pack->read_tail().take();
  EXPECT_EQ(tail.entries(), pack->segments().take());
  ASSERT_EQ(tail.entries().size(), 2U);
  for (const SegmentEntry& entry : tail.entries())
    EXPECT_EQ(encode(tail.directory(entry).take()), encode(pack->read_directory(entry).take()));
}

TEST_F(Packs, EntriesOfAnotherPackAreRefused) {
  const auto pack = WholePackReader::open(*objects_, PackKind::kData, write_data_pack()).take();
  const DataPackTail tail = pack->read_tail().take();
  const SegmentEntry good = tail.entries()[1];
  const auto refused = [&](SegmentEntry entry) {
    const auto from_tail = tail.directory(entry);
    const auto from_pack = pack->read_directory(entry);
    return !from_tail.ok() && from_tail.error().code() == ErrorCode::kCorrupt && !from_pack.ok() &&
           from_pack.error().code() == ErrorCode::kCorrupt;
  };
  EXPECT_FALSE(refused(good));
  SegmentEntry bad = good;
  bad.id.bytes[0] ^= std::byte{1};
  EXPECT_TRUE(refused(bad)) << "another segment";
  bad = good;
  bad.directory_offset = tail.entries()[0].directory_offset;
  EXPECT_TRUE(refused(bad)) << "another place";
  bad = good;
  bad.directory_offset = ~std::uint64_t{0} - 10;
  EXPECT_TRUE(refused(bad)) << "past the end";
  bad = good;
  bad.directory_offset = kPackHeaderBytes;
  EXPECT_TRUE(refused(bad)) << "before the tail";
  bad = good;
  ++bad.block_count;
  EXPECT_TRUE(refused(bad)) << "other blocks";
  bad = good;
  ++bad.payload_bytes;
  EXPECT_TRUE(refused(bad)) << "another payload";
  bad = good;
  bad.payload_offset = pack->bytes();
  EXPECT_FALSE(pack->read_directory(bad).ok()) << "a payload past the end";
}

TEST_F(Packs, TheLengthOfAPackIsKnownWhileItIsWritten) {
  auto writer = DataPackWriter::create(*objects_, golden::store_config().id, golden::session().id).take();
  EXPECT_EQ(writer->bytes(), kPackHeaderBytes);
  ASSERT_TRUE(writer->append(golden::encode_segment(golden::blocks_a(), {16, 4})).ok());
  ASSERT_TRUE(writer->append(golden::encode_segment(golden::blocks_b(), {2, 1})).ok());
  const std::uint64_t bytes = writer->bytes();
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_EQ(bytes + 2 * kSegmentEntryBytes + kPackTrailerBytes,
            fs::file_size(path_of(PackKind::kData, writer->id())));
  const auto pack = WholePackReader::open(*objects_, PackKind::kData, writer->id()).take();
  EXPECT_EQ(pack->segments().take(), writer->entries());
}

TEST_F(Packs, APackIsNamedAfterItsSession) {
  const SessionId session = golden::session().id;
  SessionId other = session;
  other.bytes[7] ^= std::byte{1};
  const PackId data = write_data_pack();
  for (const PackId& pack : {data, write_meta_pack(), new_pack_id(session)}) {
    EXPECT_TRUE(written_by(pack, session));
    EXPECT_FALSE(written_by(pack, other));
    EXPECT_TRUE(written_by(pack, first_writer_of(pack)));
    EXPECT_LE(first_writer_of(pack), session);
    EXPECT_EQ(to_hex(pack.span().last(8)), to_hex(session.span().first(8)));
  }
  EXPECT_NE(to_hex(new_pack_id(session).span().first(8)), to_hex(data.span().first(8)));
}

TEST_F(Packs, AWriterThatDoesNotFinishLeavesNothing) {
  auto writer = DataPackWriter::create(*objects_, golden::store_config().id, golden::session().id).take();
  ASSERT_TRUE(writer->append(golden::encode_segment(golden::blocks_b(), {2, 1})).ok());
  EXPECT_TRUE(list_packs(*objects_, PackKind::kData).take().empty());
  writer.reset();
  EXPECT_TRUE(list_packs(*objects_, PackKind::kData).take().empty());
}

TEST_F(Packs, ObjectsThatAreNoPacksArePassedOver) {
  const PackId id = write_data_pack();
  for (const char* key :
       {"packs/README", "packs/zz/notes.pack", "packs/00/00112233445566778899aabbccddeeff.tmp"}) {
    ASSERT_TRUE(objects_->put_if_absent(key, as_byte_span("hello")).ok());
  }
  // This key has one character more than the pack's name, and lies in another folder.
  ASSERT_TRUE(objects_->put_if_absent("packs/00/" + id.hex() + "x.pack", as_byte_span("hello")).ok());
  EXPECT_EQ(list_packs(*objects_, PackKind::kData).take().size(), 1U);
}

TEST(PackKeys, NameTheirPackAndNothingElseDoes) {
  Prng prng(1);
  for (int i = 0; i < 100; ++i) {
    PackId id;
    prng.fill(id.span());
    for (const PackKind kind : {PackKind::kData, PackKind::kMeta})
      EXPECT_EQ(pack_of_key(pack_key(kind, id)), id);
  }
  const std::string hex = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
  EXPECT_TRUE(pack_of_key("packs/a0/" + hex + ".pack"));
  EXPECT_FALSE(pack_of_key("packs/a1/" + hex + ".pack"));
  EXPECT_FALSE(pack_of_key("images/a0/" + hex + ".pack"));
  EXPECT_FALSE(pack_of_key("packs/a0/" + hex));
  EXPECT_FALSE(pack_of_key("packs/a0/A" + hex.substr(1) + ".pack"));
  EXPECT_FALSE(pack_of_key(hex + ".pack"));
  EXPECT_FALSE(pack_of_key(""));
}

TEST_F(Packs, AMissingPackAndAnotherKindAreToldApart) {
  const PackId data = write_data_pack();
  PackId other = data;
  other.bytes[5] ^= std::byte{1};
  EXPECT_EQ(WholePackReader::open(*objects_, PackKind::kData, other).error().code(), ErrorCode::kNotFound);

  // A data pack is copied to the name of a meta pack, and to the name of another pack.
  for (const auto& [kind, id] : {std::pair{PackKind::kMeta, data}, std::pair{PackKind::kData, other}}) {
    fs::create_directories(fs::path(path_of(kind, id)).parent_path());
    fs::copy_file(path_of(PackKind::kData, data), path_of(kind, id));
    const auto opened = WholePackReader::open(*objects_, kind, id);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
    EXPECT_NE(opened.error().text().find(id.hex()), std::string::npos) << opened.error().text();
  }
}

TEST_F(Packs, EveryDamagedByteIsFound) {
  constexpr std::uint64_t seed = 99;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng prng(seed);
  for (const auto& [kind, id] :
       {std::pair{PackKind::kData, write_data_pack()}, std::pair{PackKind::kMeta, write_meta_pack()}}) {
    std::fstream file(path_of(kind, id), std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(fs::file_size(path_of(kind, id)));
    // Each byte of the header and of the tail is damaged; what lies between them is sampled.
    const auto tail = static_cast<std::streamoff>(
        WholePackReader::open(*objects_, kind, id).take()->trailer().directories_offset);
    for (std::streamoff at = 0; at < size;
         at += at < static_cast<std::streamoff>(kPackHeaderBytes) || at >= tail
                   ? 1
                   : 1 + static_cast<int>(prng.below(40))) {
      const auto flip = static_cast<char>(1U << prng.below(8));
      file.seekg(at);
      const auto byte = static_cast<char>(file.get());
      file.seekp(at);
      file.put(static_cast<char>(byte ^ flip)).flush();
      EXPECT_FALSE(read_all(*objects_, kind, id).ok()) << "byte " << at << " of " << size;
      file.seekp(at);
      file.put(byte).flush();
    }
    EXPECT_TRUE(read_all(*objects_, kind, id).ok()) << "whole again";
  }
}

TEST_F(Packs, EveryTruncationIsFound) {
  for (const auto& [kind, id] :
       {std::pair{PackKind::kMeta, write_meta_pack()}, std::pair{PackKind::kData, write_data_pack()}}) {
    const std::string path = path_of(kind, id);
    const auto whole = fs::file_size(path);
    for (std::uintmax_t size = whole; size-- > 0;) {
      fs::resize_file(path, size);
      const auto opened = WholePackReader::open(*objects_, kind, id);
      ASSERT_FALSE(opened.ok()) << size;
      ASSERT_EQ(opened.error().code(), ErrorCode::kCorrupt) << opened.error().text();
    }
  }
}

}  // namespace
}  // namespace ashlar
