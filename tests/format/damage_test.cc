// Tests of what a decoder does with a damaged encoding: it refuses it or, where no checksum covers the
// damage, reads exactly what the bytes say. It never crashes, and never reads past the end (the sanitizer
// builds would stop).
#include <gtest/gtest.h>

#include "base/random.h"
#include "format/codecs.h"
#include "format/random_objects.h"

namespace ashlar {
namespace {

// Copies the bytes into memory of exactly this size, so that a sanitizer sees a read past the end.
ByteVector exact(ByteSpan bytes) { return {bytes.begin(), bytes.end()}; }

void expect_refused_or_canonical(const NamedFormat& format, const ByteVector& bytes,
                                 const std::string& what) {
  const auto got = format.reencode(bytes);
  if (!got.ok()) {
    EXPECT_TRUE(got.error().code() == ErrorCode::kCorrupt || got.error().code() == ErrorCode::kUnsupported)
        << format.name << ", " << what << ": " << got.error().text();
    return;
  }
  EXPECT_EQ(format.seal, Seal::kNone) << format.name << ", " << what << ": accepted";
  EXPECT_EQ(to_hex(got.value()), to_hex(bytes))
      << format.name << ", " << what << ": accepted, and read as something else";
}

TEST(Damage, EveryFormatReadsItsOwnGoldenBytes) {
  for (const NamedFormat& format : binary_formats()) {
    const auto got = format.reencode(format.golden);
    ASSERT_TRUE(got.ok()) << format.name << ": " << got.error().text();
    EXPECT_EQ(to_hex(got.value()), to_hex(format.golden)) << format.name;
  }
}

TEST(Damage, EveryTruncationIsRefused) {
  for (const NamedFormat& format : binary_formats()) {
    for (std::size_t size = 0; size < format.golden.size(); ++size) {
      const auto got = format.reencode(exact(ByteSpan(format.golden).first(size)));
      ASSERT_FALSE(got.ok()) << format.name << " cut to " << size;
      EXPECT_EQ(got.error().code(), ErrorCode::kCorrupt) << format.name << " cut to " << size;
    }
  }
}

TEST(Damage, EveryExtensionIsRefused) {
  for (const NamedFormat& format : binary_formats()) {
    for (const std::size_t more : {1U, 8U, 4096U}) {
      ByteVector longer = format.golden;
      longer.resize(longer.size() + more);
      EXPECT_FALSE(format.reencode(longer).ok()) << format.name << " with " << more << " bytes more";
    }
  }
}

// A version, a hash or an encryption that changed says nothing of a newer program before the checksum is
// right. A node has no checksum: its reader compares the id first.
TEST(Damage, EverySingleBitFlipIsDamage) {
  for (const NamedFormat& format : binary_formats()) {
    for (std::size_t bit = 0; bit < format.golden.size() * 8; ++bit) {
      ByteVector flipped = format.golden;
      flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      if (format.seal == Seal::kNone) {
        expect_refused_or_canonical(format, flipped, "bit " + std::to_string(bit));
        continue;
      }
      const auto got = format.reencode(flipped);
      ASSERT_FALSE(got.ok()) << format.name << ", bit " << bit;
      ASSERT_EQ(got.error().code(), ErrorCode::kCorrupt)
          << format.name << ", bit " << bit << ": " << got.error().text();
    }
  }
}

TEST(Damage, RandomOverwritesAreRefusedOrReadAsTheyStand) {
  constexpr std::uint64_t seed = 20261121;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng prng(seed);
  for (const NamedFormat& format : binary_formats()) {
    for (int round = 0; round < 3000; ++round) {
      ByteVector bytes = format.golden;
      for (std::uint64_t n = 1 + prng.below(4); n > 0; --n) {
        const std::size_t at = prng.below(bytes.size());
        const std::size_t size = std::min<std::size_t>(1 + prng.below(8), bytes.size() - at);
        prng.fill(MutableByteSpan(bytes).subspan(at, size));
      }
      if (bytes != format.golden)
        expect_refused_or_canonical(format, bytes, "round " + std::to_string(round));
    }
  }
}

TEST(Damage, AWholeNewerVersionIsUnsupportedAndVersionZeroIsDamage) {
  for (const NamedFormat& format : binary_formats()) {
    if (format.version_offset == 0) continue;
    for (const unsigned version : {2U, 3U, 255U, 256U, 0xffffU, 0U}) {
      if ((version > 255 && !format.wide_version) || version == format.newest) continue;
      ByteVector bytes = format.golden;
      bytes[format.version_offset] = static_cast<std::byte>(version & 255U);
      if (format.wide_version) bytes[format.version_offset + 1] = static_cast<std::byte>(version >> 8U);
      if (format.seal != Seal::kNone) {
        EXPECT_TRUE(is(format.reencode(bytes), ErrorCode::kCorrupt)) << format.name << " version " << version;
      }
      const auto got = format.reencode(sealed_again(format.seal, bytes));
      ASSERT_FALSE(got.ok()) << format.name << " version " << version;
      EXPECT_EQ(got.error().code(), version == 0 ? ErrorCode::kCorrupt : ErrorCode::kUnsupported)
          << format.name << " version " << version << ": " << got.error().text();
    }
  }
}

}  // namespace
}  // namespace ashlar
