// Frames: blocks compressed by zstd (RFC 8878), up to 64 blocks in one independent frame.
//
// A frame that does not shrink by at least 1/32 is kept raw. The encoder decodes every compressed frame and
// compares it with its source before it returns the frame. So a compressor that returns wrong data (this has
// happened) makes a capture fail and never loses a block. Decoding writes into a buffer of exactly the
// expected size, so a frame can't expand to more than that.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"

namespace ashlar {

enum class FrameCodec : std::uint8_t {
  kRaw = 0,
  kZstd = 1,
  kAbsent = 2,  // dropped by compaction: its blocks are gone on purpose, reading them is an error
};

// An encoder of frames; each thread needs its own.
class FrameEncoder {
 public:
  explicit FrameEncoder(int level);
  ~FrameEncoder();
  FrameEncoder(const FrameEncoder&) = delete;
  FrameEncoder& operator=(const FrameEncoder&) = delete;

  struct Encoded {
    FrameCodec codec;
    ByteSpan stored;  // part of the encoder (kZstd) or the source itself (kRaw); valid until the next call
  };
  Result<Encoded> encode(ByteSpan blocks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A decoder of frames; each thread needs its own.
class FrameDecoder {
 public:
  FrameDecoder();
  ~FrameDecoder();
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;

  // Fills all of `blocks`, or fails with kCorrupt.
  Status decode(FrameCodec codec, ByteSpan stored, MutableByteSpan blocks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
