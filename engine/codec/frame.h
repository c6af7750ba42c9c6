// Blocks to frames and back: zstd (RFC 8878), one independent frame for up to 64 blocks.
//
// A frame that does not shrink is kept raw. Before a compressed frame is given out it has been decoded again
// and compared with its source: a compressor that lies (it has happened) costs a failed capture, never a lost
// block. Decoding writes into a buffer of exactly the expected size, so there are no bombs.
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

// One a thread.
class FrameEncoder {
 public:
  explicit FrameEncoder(int level);
  ~FrameEncoder();
  FrameEncoder(const FrameEncoder&) = delete;
  FrameEncoder& operator=(const FrameEncoder&) = delete;

  struct Encoded {
    FrameCodec codec;
    ByteSpan stored;  // into the encoder (kZstd) or the source itself (kRaw); valid until the next call
  };
  Result<Encoded> encode(ByteSpan blocks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One a thread.
class FrameDecoder {
 public:
  FrameDecoder();
  ~FrameDecoder();
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;

  // Fills `blocks` exactly, or fails with kCorrupt.
  Status decode(FrameCodec codec, ByteSpan stored, MutableByteSpan blocks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
