// Tests of hashes against published vectors: the bytes on disk depend on every one of them.
#include "codec/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
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
  EXPECT_EQ(to_hex(checksum128(ByteSpan{}, 0)), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(to_hex(checksum128(as_byte_span("abc"), 0)), "06b05ab6733a618578af5f94892f3950");
  EXPECT_NE(checksum128(as_byte_span("abc"), 0), checksum128(as_byte_span("abc"), 1));
}

RegionSecret secret_of(std::string_view hex) {
  RegionSecret secret;
  EXPECT_TRUE(from_hex(hex, secret.span()).ok());
  return secret;
}

// The vectors are from RFC 8439: section 2.5.2, and appendix A.3, numbers 1, 4 and 7.
TEST(RegionHash, IsPoly1305) {
  const auto hash = [](std::string_view secret, ByteSpan bytes) {
    return region_hash(bytes, secret_of(secret)).hex();
  };
  EXPECT_EQ(hash("85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
                 as_byte_span("Cryptographic Forum Research Group")),
            "a8061dc1305136c6c22b8baf0c0127a9");
  const std::string zeros(32, '0');
  EXPECT_EQ(hash(zeros + zeros, ByteVector(64)), zeros);
  EXPECT_EQ(hash("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
                 as_byte_span("'Twas brillig, and the slithy toves\nDid gyre and gimble in the wabe:\n"
                              "All mimsy were the borogoves,\nAnd the mome raths outgrabe.")),
            "4541669a7eaaee61e708dc7cbcc5eb62");
  ByteVector bytes(48, std::byte{0xff});
  bytes[16] = std::byte{0xf0};
  std::fill(bytes.begin() + 32, bytes.end(), std::byte{0});
  bytes[32] = std::byte{0x11};
  EXPECT_EQ(hash("01" + zeros.substr(2) + zeros, bytes), "05" + zeros.substr(2));
}

TEST(RegionHash, EverySecretAndEveryBitCounts) {
  Prng prng(5);
  ByteVector region(kRegionBytes);
  prng.fill(region);
  const RegionSecret secret = RegionSecret::random();
  const RegionHash before = region_hash(region, secret);
  EXPECT_EQ(region_hash(region, secret), before);
  for (const std::size_t byte : {4U, 31U}) {  // of r, where a bit is not clamped away, and of s
    RegionSecret other = secret;
    other.span()[byte] ^= std::byte{4};
    EXPECT_NE(region_hash(region, other), before) << byte;
  }
  for (int round = 0; round < 200; ++round) {
    const auto bit = static_cast<std::byte>(1U << prng.below(8));
    const std::size_t at = prng.below(region.size());
    region[at] ^= bit;
    EXPECT_NE(region_hash(region, secret), before) << at;
    region[at] ^= bit;
  }
  EXPECT_NE(region_hash(ByteSpan(region).first(kBlockBytes), secret), before);
  EXPECT_NE(RegionSecret::random(), secret);
}

TEST(RegionHash, ThreadsDoNotShareTheirState) {
  std::vector<std::jthread> threads;
  std::array<bool, 4> good{};
  for (std::size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([t, &good] {
      RegionSecret secret;
      secret.span()[0] = static_cast<std::byte>(t + 1);
      const ByteVector region(kRegionBytes, static_cast<std::byte>(t));
      const RegionHash expected = region_hash(region, secret);
      bool same = true;
      for (int i = 0; i < 500; ++i) same = same && region_hash(region, secret) == expected;
      good[t] = same;
    });
  }
  threads.clear();
  EXPECT_EQ(good, (std::array{true, true, true, true}));
}

TEST(BlockMark, IsTheSha256OfTheBlock) {
  // The value is what sha256sum prints for 4096 zero bytes.
  const ByteVector zeros(kBlockBytes);
  EXPECT_EQ(block_mark(zeros).hex(), "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7");
  EXPECT_EQ(block_id(zeros), id_of(block_mark(zeros)));
}

TEST(BlockMark, AndIdLeadToEachOther) {
  const auto mark = random_id<BlockMark>();
  EXPECT_EQ(mark_of(id_of(mark)), mark);
}

}  // namespace
}  // namespace ashlar
