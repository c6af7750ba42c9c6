#include "codec/frame.h"

#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/out_of_memory.h"

namespace ashlar {
namespace {

// Returns the most bytes that a compressed frame may have: it must save 1/32 to be worth decoding on every
// read.
constexpr std::size_t worth_keeping(std::size_t raw) { return raw - raw / 32; }

bool declares_size(ByteSpan stored, std::size_t size) {
  constexpr std::array<std::byte, 4> magic = {std::byte{0x28}, std::byte{0xb5}, std::byte{0x2f},
                                              std::byte{0xfd}};
  return stored.size() > magic.size() && bytes_equal(stored.first(magic.size()), magic) &&
         ZSTD_getFrameContentSize(stored.data(), stored.size()) == size;
}

Error zstd_error(std::string_view what, std::size_t result) {
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) out_of_memory();
  return corrupt(fmt::format("zstd {}: {}", what, ZSTD_getErrorName(result)));
}

}  // namespace

struct FrameEncoder::State {
  ZSTD_CCtx* compressor = nullptr;
  FrameDecoder decoder;
  ByteVector compressed;
  ByteVector decoded;
};

FrameEncoder::FrameEncoder(int level) : state_(std::make_unique<State>()) {
  state_->compressor = ZSTD_createCCtx();
  if (state_->compressor == nullptr) out_of_memory();
  CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(state_->compressor, ZSTD_c_compressionLevel, level)) == 0);
}

FrameEncoder::~FrameEncoder() { ZSTD_freeCCtx(state_->compressor); }

Result<FrameEncoder::Encoded> FrameEncoder::encode(ByteSpan blocks) {
  State& s = *state_;
  s.compressed.resize(std::max(s.compressed.size(), ZSTD_compressBound(blocks.size())));
  s.decoded.resize(std::max(s.decoded.size(), blocks.size()));
  const std::size_t size =
      ZSTD_compress2(s.compressor, s.compressed.data(), s.compressed.size(), blocks.data(), blocks.size());
  if (ZSTD_isError(size) != 0) return zstd_error("compress", size);
  if (size > worth_keeping(blocks.size())) return Encoded{FrameCodec::kRaw, blocks};

  const ByteSpan stored = ByteSpan(s.compressed).first(size);
  const MutableByteSpan decoded = MutableByteSpan(s.decoded).first(blocks.size());
  TRY(s.decoder.decode(FrameCodec::kZstd, stored, decoded));
  if (!bytes_equal(decoded, blocks))
    return corrupt("a frame does not decode to its source: check this machine's memory");
  return Encoded{FrameCodec::kZstd, stored};
}

struct FrameDecoder::State {
  ZSTD_DCtx* context = nullptr;
};

FrameDecoder::FrameDecoder() : state_(std::make_unique<State>()) {
  state_->context = ZSTD_createDCtx();
  if (state_->context == nullptr) out_of_memory();
}

FrameDecoder::~FrameDecoder() { ZSTD_freeDCtx(state_->context); }

Status FrameDecoder::decode(FrameCodec codec, ByteSpan stored, MutableByteSpan blocks) {
  switch (codec) {
    case FrameCodec::kRaw:
      if (stored.size() != blocks.size()) return corrupt("raw frame: wrong length");
      if (!blocks.empty()) std::memcpy(blocks.data(), stored.data(), blocks.size());
      return {};
    case FrameCodec::kZstd: {
      // The check also refuses the formats before zstd 1.0, which Debian's library still decodes.
      if (!declares_size(stored, blocks.size()))
        return corrupt("zstd frame: its header declares another size");
      const std::size_t size =
          ZSTD_decompressDCtx(state_->context, blocks.data(), blocks.size(), stored.data(), stored.size());
      if (ZSTD_isError(size) != 0) return zstd_error("frame", size);
      if (size != blocks.size()) return corrupt("zstd frame: decodes to too few bytes");
      return {};
    }
    case FrameCodec::kAbsent:
      return corrupt("frame was dropped by compaction");
  }
  return corrupt("frame: unknown codec");
}

}  // namespace ashlar
