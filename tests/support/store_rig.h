// StoreRig: a small store in memory for tests of the parts below a Repo: objects on a simulated disk, an
// index in memory and a reader of segments.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "codec/hash.h"
#include "index/index.h"
#include "io/local_object_store.h"
#include "simulated/simulated_file_system.h"
#include "store/admission.h"
#include "store/pack_appender.h"
#include "store/segments.h"

namespace ashlar {

#define ASSERT_FINE(result)                                                       \
  do {                                                                            \
    const auto& checked_ = (result);                                              \
    ASSERT_TRUE(checked_.ok()) << (checked_.ok() ? "" : checked_.error().text()); \
  } while (false)

template <class T>
T expect_ok(Result<T> result) {
  if (!result.ok()) ADD_FAILURE() << result.error().text();
  return result.take();
}
inline void expect_ok(Status status) {
  if (!status.ok()) ADD_FAILURE() << status.error().text();
}

// Returns a block whose bytes follow from `seed`; distinct seeds give distinct blocks. Every fourth
// compresses well, the others do not compress.
inline ByteVector block_of(std::uint64_t seed) {
  ByteVector block(kBlockBytes);
  if (seed % 4 == 3) {
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(1 + i / 512);
    std::memcpy(block.data(), &seed, sizeof seed);
  } else {
    Prng(seed + 1).fill(block);
  }
  return block;
}
inline BlockId id_of_block(std::uint64_t seed) { return block_id(block_of(seed)); }

// Returns the segment that holds the blocks of these seeds, as Admission hands it on.
inline SealedSegment sealed_segment(const std::vector<std::uint64_t>& seeds, std::uint64_t ordinal = 0) {
  SealedSegment segment;
  segment.ordinal = ordinal;
  segment.data = AlignedBuffer(seeds.size() * kBlockBytes);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    const ByteVector block = block_of(seeds[i]);
    std::memcpy(segment.data.data() + i * kBlockBytes, block.data(), kBlockBytes);
    segment.blocks.push_back(block_id(block));
  }
  segment.id = segment_id(segment.blocks);
  return segment;
}

inline EncodedSegment encoded_segment(const SealedSegment& segment, std::uint32_t frame_blocks = 16) {
  FrameEncoder encoder(1);
  return expect_ok(encode_segment(segment, frame_blocks, encoder));
}

// Makes the frames [first, first + count) absent, as a collection does that found their blocks unused.
inline void make_absent(EncodedSegment& segment, std::size_t first, std::size_t count) {
  ByteVector payload;
  std::size_t at = 0;
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    FrameEntry& frame = segment.directory.frames[i];
    const ByteSpan stored = ByteSpan(segment.payload).subspan(at, frame.stored_bytes);
    at += frame.stored_bytes;
    if (i >= first && i < first + count) {
      frame = {0, FrameCodec::kAbsent, frame.block_count, 0};
    } else {
      payload.insert(payload.end(), stored.begin(), stored.end());
    }
  }
  segment.payload = std::move(payload);
}

inline std::vector<std::uint64_t> seeds_from(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> seeds(count);
  for (std::size_t i = 0; i < count; ++i) seeds[i] = first + i;
  return seeds;
}

class StoreRig {
 public:
  StoreRig() : objects_(std::make_unique<LocalObjectStore>(prepared(files_), "/store")) {
    index_ = expect_ok(Index::open_in_memory(*objects_));
    segments_ = std::make_unique<SegmentReader>(*objects_, *index_);
  }

  SimulatedFileSystem& files() { return files_; }
  ObjectStore& objects() { return *objects_; }
  Index& index() { return *index_; }
  SegmentReader& segments() { return *segments_; }
  static StoreId id() {
    StoreId id;
    id.bytes.fill(std::byte{0x5a});
    return id;
  }

  // The packs that a writer under test leans on; its session is session().
  LeanedPacks& leaned() { return leaned_; }
  static SessionId session() {
    SessionId id;
    id.bytes.fill(std::byte{0x3c});
    return id;
  }

  // Publishes one data pack with these segments and returns its id.
  PackId publish(std::span<const SealedSegment> segments, std::uint32_t frame_blocks = 16) {
    PackAppender appender(*objects_, *index_, id(), session());
    for (const SealedSegment& segment : segments)
      expect_ok(appender.append(encoded_segment(segment, frame_blocks)));
    expect_ok(appender.publish());
    return expect_ok(index_->find_segment(segments.front().id))->pack;
  }
  PackId publish(const SealedSegment& segment, std::uint32_t frame_blocks = 16) {
    return publish(std::span(&segment, 1), frame_blocks);
  }
  void publish(EncodedSegment segment) {
    PackAppender appender(*objects_, *index_, id(), session());
    expect_ok(appender.append(std::move(segment)));
    expect_ok(appender.publish());
  }
  std::vector<SegmentPlace> places_of(const SegmentId& segment) {
    return expect_ok(index_->segment_places(segment));
  }
  SegmentPlace place_of(const SegmentId& segment) { return *expect_ok(index_->find_segment(segment)); }

  ByteVector bytes_of(const std::string& key) { return expect_ok(get_object(*objects_, key, 1U << 30)); }
  // Makes a published object consist of these bytes; readers that were opened before keep what they see.
  void overwrite(const std::string& key, ByteSpan bytes) {
    expect_ok(files_.remove("/store/" + key));
    const auto file = expect_ok(files_.create("/store/" + key));
    expect_ok(file->append(bytes));
    expect_ok(file->sync());
  }
  void flip_byte(const std::string& key, std::uint64_t offset) {
    ByteVector bytes = bytes_of(key);
    bytes.at(offset) ^= std::byte{1};
    overwrite(key, bytes);
  }
  // Forgets every open pack and cached directory.
  void reopen_segments() { segments_ = std::make_unique<SegmentReader>(*objects_, *index_); }
  void forget_pack(const PackId& pack, PackKind kind = PackKind::kData) {
    expect_ok(objects_->remove(pack_key(kind, pack)));
    expect_ok(index_->forget_pack(pack));
    reopen_segments();
  }

 private:
  static FileSystem& prepared(SimulatedFileSystem& files) {
    expect_ok(files.make_directory("/store"));
    return files;
  }

  SimulatedFileSystem files_;
  std::unique_ptr<LocalObjectStore> objects_;
  LeanedPacks leaned_{*objects_, session()};
  std::unique_ptr<Index> index_;
  std::unique_ptr<SegmentReader> segments_;
};

}  // namespace ashlar
