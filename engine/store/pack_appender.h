// PackAppender: appends encoded segments to data packs, starts another pack when one is full, publishes the
// full one and adds it to the index.
//
// One thread appends. Other threads must not call it at the same time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "index/index.h"
#include "pack/pack_store.h"
#include "store/admission.h"

namespace ashlar {

inline constexpr std::uint64_t kPackBytes = 64 << 20;  // a pack is closed when it is at least this long

// Compresses a sealed segment in frames of `frame_blocks`; each frame is decoded again and compared. Any
// thread, each with its own encoder.
Result<EncodedSegment> encode_segment(const SealedSegment& segment, std::uint32_t frame_blocks,
                                      FrameEncoder& encoder);

class PackAppender {
 public:
  PackAppender(ObjectStore& objects, Index& index, const StoreId& store, const SessionId& session);
  ~PackAppender();
  PackAppender(const PackAppender&) = delete;
  PackAppender& operator=(const PackAppender&) = delete;

  Status append(EncodedSegment segment);
  // Publishes the open pack, if any.
  Status publish();

  std::uint64_t stored_bytes() const { return stored_bytes_; }
  std::uint64_t packs_published() const { return packs_published_; }

 private:
  ObjectStore& objects_;
  Index& index_;
  StoreId store_;
  SessionId session_;  // names the packs
  std::unique_ptr<DataPackWriter> pack_;
  // Block ids of the segments in the open pack, for the index.
  std::vector<std::vector<BlockId>> directories_;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t packs_published_ = 0;
};

}  // namespace ashlar
