// SmallStore: a store of 4 GiB whose blocks are zeros under made-up ids: real packs on a file system in
// memory, and a real index.
//
// Admission and restore plans look only at ids and places, and zeros make packs that are almost nothing but
// directories. There are 32 segments in a pack, as in packs of 64 MiB with data that compresses to half.
#pragma once

#include <memory>
#include <vector>

#include "base/random.h"
#include "index/index.h"
#include "io/local_object_store.h"
#include "simulated/simulated_file_system.h"
#include "store/pack_appender.h"
#include "store/segments.h"

namespace ashlar {

inline std::vector<BlockId> made_up_ids(Prng& prng, std::size_t count) {
  std::vector<BlockId> ids(count);
  for (BlockId& id : ids) prng.fill(id.span());
  return ids;
}

class SmallStore {
 public:
  static constexpr std::size_t kSegments = 1024;
  static constexpr std::size_t kSegmentsAPack = 32;

  // Returns the shared store, made at its first use; no benchmark changes it.
  static SmallStore& shared() {
    static SmallStore store;
    return store;
  }

  Index& index() { return *index_; }
  ObjectStore& objects() { return objects_; }
  // Returns the blocks of all segments, in the order in which the packs hold them.
  const std::vector<BlockId>& blocks() const { return blocks_; }
  const std::vector<SegmentId>& segments() const { return segments_; }

 private:
  SmallStore() {
    const Status filled = fill();
    CHECK(filled.ok());
  }

  Status fill() {
    index_ = TRY(Index::open_in_memory(objects_));
    PackAppender appender(objects_, *index_, StoreId{}, SessionId{});
    FrameEncoder encoder(1);
    SealedSegment sealed;
    sealed.data = AlignedBuffer(kSegmentBytes);
    std::memset(sealed.data.data(), 0, kSegmentBytes);
    sealed.blocks.resize(kSegmentBlocks);
    EncodedSegment encoded = TRY(encode_segment(sealed, kFrameBlocks, encoder));
    Prng prng(2);
    for (std::size_t i = 1; i <= kSegments; ++i) {
      encoded.directory.blocks = made_up_ids(prng, kSegmentBlocks);
      encoded.directory.id = segment_id(encoded.directory.blocks);
      segments_.push_back(encoded.directory.id);
      blocks_.insert(blocks_.end(), encoded.directory.blocks.begin(), encoded.directory.blocks.end());
      TRY(appender.append(encoded));
      if (i % kSegmentsAPack == 0) TRY(appender.publish());
    }
    return {};
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, "/"};
  std::unique_ptr<Index> index_;
  std::vector<BlockId> blocks_;
  std::vector<SegmentId> segments_;
};

}  // namespace ashlar
