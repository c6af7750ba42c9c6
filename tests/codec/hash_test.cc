// Tests of hashes against published vectors: the bytes on disk depend on every one of them.
#include "codec/hash.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"

namespace ashlar {
namespace {

// The vectors are from FIPS 180-4 and the examples of NIST.
TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(to_hex(sha256(ByteSpan{})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256(as_byte_span("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(as_byte_span("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256(as_byte_span(std::string(1'000'000, 'a')))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, ADomainIsAPrefix) {
  EXPECT_EQ(sha256("ab", as_byte_span("c")), sha256(as_byte_span("abc")));
  EXPECT_NE(sha256("x", as_byte_span("abc")), sha256("y", as_byte_span("abc")));
}

TEST(Sha256, PiecesOfAnySizeGiveTheSame) {
  constexpr std::uint64_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng prng(seed);
  ByteVector bytes(10'000);
  prng.fill(bytes);
  Sha256Hasher hasher;
  for (int round = 0; round < 20; ++round) {
    hasher.begin();
    for (ByteSpan rest = bytes; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(prng.below(300), rest.size());
      hasher.update(rest.first(size));
      rest = rest.subspan(size);
    }
    ASSERT_EQ(hasher.finish(), sha256(bytes));
  }
}

TEST(Sha256, ThreadsDoNotShareTheirState) {
  std::vector<std::jthread> threads;
  std::array<bool, 4> good{};
  for (std::size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([t, &good] {
      const std::string text(100 * (t + 1), static_cast<char>('a' + t));
      const Sha256 expected = sha256(as_byte_span(text));
      bool same = true;
      for (int i = 0; i < 2000; ++i) same = same && sha256(as_byte_span(text)) == expected;
      good[t] = same;
    });
  }
  threads.clear();
  EXPECT_EQ(good, (std::array{true, true, true, true}));
}

// XXH3 of "" is in the xxHash specification; the others are what xxhsum 0.8.1 prints (-H3, -H2).
TEST(Xxh3, KnownVectors) {
  EXPECT_EQ(checksum64(ByteSpan{}), 0x2d06800538d394c2U);
  EXPECT_EQ(checksum64(as_byte_span("abc")), 0x78af5f94892f3950U);
  EXPECT_EQ(region_hash(ByteSpan{}, 0).hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(region_hash(as_byte_span("abc"), 0).hex(), "06b05ab6733a618578af5f94892f3950");
}

TEST(Xxh3, ASeedMakesAnotherHashAndOneBitToo) {
  ByteVector region(kRegionBytes, std::byte{1});
  const RegionHash before = region_hash(region, 1);
  EXPECT_EQ(region_hash(region, 1), before);
  EXPECT_NE(region_hash(region, 2), before);
  region[kRegionBytes - 1] ^= std::byte{1};
  EXPECT_NE(region_hash(region, 1), before);
}

TEST(BlockId, IsTheSha256OfTheBlock) {
  // The value is what sha256sum prints for 4096 zero bytes.
  EXPECT_EQ(block_id(ByteVector(kBlockBytes)).hex(),
            "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7");
}

}  // namespace
}  // namespace ashlar
