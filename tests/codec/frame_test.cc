// Tests of frames: what is encoded is decoded equal, into a buffer of exactly the size asked for, or it is
// refused.
#include "codec/frame.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>

#include "base/quantity.h"
#include "base/random.h"

namespace ashlar {
namespace {

ByteVector noise(std::size_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Prng(seed).fill(bytes);
  return bytes;
}

// Returns runs of equal bytes between runs of noise; `compressible` percent of the runs are of equal bytes.
ByteVector mixture(Prng& prng, std::size_t size, std::uint64_t compressible) {
  ByteVector bytes(size);
  for (std::size_t at = 0; at < size;) {
    const std::size_t run = std::min<std::size_t>(1 + prng.below(500), size - at);
    const MutableByteSpan part = MutableByteSpan(bytes).subspan(at, run);
    if (prng.below(100) < compressible) {
      std::fill(part.begin(), part.end(), static_cast<std::byte>(prng.below(256)));
    } else {
      prng.fill(part);
    }
    at += run;
  }
  return bytes;
}

ByteVector compressed(ByteSpan bytes) {
  ByteVector out(ZSTD_compressBound(bytes.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

ErrorCode decode_code(FrameCodec codec, ByteSpan stored, std::size_t size) {
  FrameDecoder decoder;
  ByteVector out(size);
  const Status status = decoder.decode(codec, stored, out);
  return status.ok() ? ErrorCode::kInvalid : status.error().code();
}

TEST(Frame, AnyBlocksComeBack) {
  FrameDecoder decoder;
  for (const int level : {-7, 1, 3, 19}) {
    FrameEncoder encoder(level);
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      SCOPED_TRACE("level " + std::to_string(level) + ", seed " + std::to_string(seed));
      Prng prng(seed);
      const ByteVector blocks = mixture(prng, (1 + prng.below(64)) * kBlockBytes, prng.below(101));
      const auto frame = encoder.encode(blocks);
      ASSERT_TRUE(frame.ok());
      ByteVector out(blocks.size(), std::byte{0xee});
      ASSERT_TRUE(decoder.decode(frame.value().codec, frame.value().stored, out).ok());
      ASSERT_TRUE(out == blocks);
      ASSERT_LE(frame.value().stored.size(), blocks.size());
    }
  }
}

TEST(Frame, NoiseIsKeptRawAndPointsIntoItsSource) {
  FrameEncoder encoder(1);
  const ByteVector blocks = noise(kFrameBytes, 3);
  const auto frame = encoder.encode(blocks).take();
  EXPECT_EQ(frame.codec, FrameCodec::kRaw);
  EXPECT_EQ(frame.stored.data(), blocks.data());
  EXPECT_EQ(frame.stored.size(), blocks.size());
}

// A frame that saves less than 1/32 (2048 of 64 KiB) is kept raw: the saving is not worth decoding at every
// read.
TEST(Frame, SavingLittleIsKeptRaw) {
  FrameEncoder encoder(1);
  ByteVector blocks = noise(kFrameBytes, 3);
  std::fill(blocks.begin(), blocks.begin() + 1000, std::byte{0});
  EXPECT_EQ(encoder.encode(blocks).take().codec, FrameCodec::kRaw);
  std::fill(blocks.begin(), blocks.begin() + 4000, std::byte{0});
  EXPECT_EQ(encoder.encode(blocks).take().codec, FrameCodec::kZstd);
}

TEST(Frame, ABombDoesNotFitTheBufferThatWasAskedFor) {
  const ByteVector bomb = compressed(ByteVector(64UL * 1024 * 1024));
  ASSERT_LT(bomb.size(), 16384U);
  EXPECT_EQ(decode_code(FrameCodec::kZstd, bomb, kFrameBytes), ErrorCode::kCorrupt);

  // Two frames in a row are refused: the buffer has no room for the second.
  ByteVector twice = compressed(ByteVector(kFrameBytes));
  const ByteVector once = twice;
  twice.insert(twice.end(), once.begin(), once.end());
  EXPECT_EQ(decode_code(FrameCodec::kZstd, twice, kFrameBytes), ErrorCode::kCorrupt);
}

TEST(Frame, TooLittleIsRefusedToo) {
  const ByteVector stored = compressed(ByteVector(kBlockBytes));
  EXPECT_EQ(decode_code(FrameCodec::kZstd, stored, kBlockBytes), ErrorCode::kInvalid) << "accepted as it is";
  EXPECT_EQ(decode_code(FrameCodec::kZstd, stored, 2 * kBlockBytes), ErrorCode::kCorrupt);
  EXPECT_EQ(decode_code(FrameCodec::kRaw, stored, kBlockBytes), ErrorCode::kCorrupt);
  EXPECT_EQ(decode_code(FrameCodec::kZstd, {}, kBlockBytes), ErrorCode::kCorrupt);
  EXPECT_EQ(decode_code(FrameCodec::kAbsent, {}, kBlockBytes), ErrorCode::kCorrupt);
}

// Debian's libzstd still decodes zstd 0.5 to 0.7; a frame of ours is RFC 8878 and no other format.
TEST(Frame, OlderAndSkippableFormatsAreRefused) {
  ByteVector stored = compressed(ByteVector(kBlockBytes));
  for (const unsigned first : {0x25U, 0x26U, 0x27U, 0x50U, 0x1eU}) {
    stored[0] = static_cast<std::byte>(first);
    EXPECT_EQ(decode_code(FrameCodec::kZstd, stored, kBlockBytes), ErrorCode::kCorrupt) << first;
  }
}

// A flipped bit may pass unnoticed here, because the checksum of a frame is in its segment's directory. It
// may not crash the decoder or write past the end of the buffer (the sanitizer builds would stop).
TEST(Frame, DamageIsRefusedOrStaysInsideTheBuffer) {
  Prng prng(5);
  const ByteVector blocks = mixture(prng, kBlockBytes, 90);
  const ByteVector stored = compressed(blocks);
  FrameDecoder decoder;
  for (std::size_t bit = 0; bit < stored.size() * 8; ++bit) {
    ByteVector flipped = stored;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    ByteVector out(blocks.size());
    const Status status = decoder.decode(FrameCodec::kZstd, flipped, out);
    if (!status.ok()) {
      ASSERT_EQ(status.error().code(), ErrorCode::kCorrupt);
    }
  }
  for (std::size_t size = 0; size < stored.size(); ++size) {
    const ByteVector cut(stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_EQ(decode_code(FrameCodec::kZstd, cut, blocks.size()), ErrorCode::kCorrupt) << "cut to " << size;
  }
  ByteVector out(blocks.size());
  EXPECT_TRUE(decoder.decode(FrameCodec::kZstd, stored, out).ok()) << "a decoder survives what it refused";
  EXPECT_TRUE(out == blocks);
}

}  // namespace
}  // namespace ashlar
