// Tests that a change is found although its writer made it for a fast hash not to see it.
//
// XXH3 adds, for each 8 bytes of input, the product of the halves of input XOR key; its keys are fixed words
// plus the seed. Where two inputs XOR key have equal low halves and unlike highest bits, flipping both
// highest bits changes no sum: one product grows by what the other loses. A writer who knows no seed bets on
// the likeliest value of one key XOR the other: a region that he changes so looks the same under 1.5 % of all
// seeds.
#include <gtest/gtest.h>

#include "capture/leaf_rig.h"

namespace ashlar {
namespace {

// Words 0 and 12 of XXH3_kSecret (xxHash 0.8). In each KiB they meet the input at bytes 0 and 768.
constexpr std::uint64_t kWord0 = 0xbe4ba423396cfeb8;
constexpr std::uint64_t kWord12 = 0x3f349ce33f76faa8;
constexpr std::size_t kPieceBytes = 1024;
constexpr std::size_t kOtherWordAt = 768;
constexpr std::uint64_t kHighestBit = std::uint64_t{1} << 63U;
constexpr std::uint64_t kLowHalf = 0xffffffff;
constexpr std::uint64_t kLikelySeed = std::uint64_t{1} << 18U;  // its keys have the likeliest XOR

std::uint64_t word_at(ByteSpan bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return word;
}
void put_word(ByteVector& bytes, std::size_t at, std::uint64_t word) {
  std::memcpy(bytes.data() + at, &word, sizeof word);
}

// Two regions that differ in each KiB and have the same XXH3 under `seed`.
struct ForgedPair {
  ByteVector before = ByteVector(kRegionBytes);
  ByteVector after;

  explicit ForgedPair(std::uint64_t seed) {
    Prng(seed).fill(before);
    after = before;
    const std::uint64_t keys = (kWord0 + seed) ^ (kWord12 + seed);
    for (std::size_t at = 0; at < kRegionBytes; at += kPieceBytes) {
      const std::uint64_t one = word_at(before, at);
      const std::uint64_t kept = word_at(before, at + kOtherWordAt) & ~(kHighestBit | kLowHalf);
      const std::uint64_t other = kept | ((one ^ keys ^ kHighestBit) & (kHighestBit | kLowHalf));
      put_word(before, at + kOtherWordAt, other);
      put_word(after, at, one ^ kHighestBit);
      put_word(after, at + kOtherWordAt, other ^ kHighestBit);
    }
  }
};

LeafBytes leaf_of(ByteSpan region) {
  LeafBytes leaf(kRegionBlocks, ExtentKind::kData);
  for (std::size_t i = 0; i < kRegionBlocks; ++i) {
    const ByteSpan block = region.subspan(i * kBlockBytes, kBlockBytes);
    leaf.set(i, ByteVector(block.begin(), block.end()));
  }
  return leaf;
}

// The seed is each 8 bytes of the store's secret, as a region hash made with XXH3 could use them.
TEST(RegionForgery, AChangeThatXxh3DoesNotSeeIsCaptured) {
  const RegionSecret secret = LeafRig::secret();
  for (std::size_t at = 0; at < RegionSecret::kBytes; at += sizeof(std::uint64_t)) {
    const std::uint64_t seed = word_at(secret.span(), at);
    const ForgedPair pair(seed);
    ASSERT_NE(pair.before, pair.after);
    ASSERT_EQ(checksum128(pair.before, seed), checksum128(pair.after, seed)) << "the forgery works";
    LeafRig rig;
    rig.set_parent(leaf_of(pair.before));
    const LeafBytes now = leaf_of(pair.after);
    LeafAssembly assembly =
        rig.assemble(Origins(kRegionBlocks, BlockOrigin::kRead), now, {{0, 0, kRegionBlocks}});
    EXPECT_FALSE(assembly.is_parents());
    EXPECT_EQ(rig.read_leaf(assembly), now.blocks());
    EXPECT_EQ(assembly.same_blocks(), 0U);
  }
}

// As a writer would do it who knows no secret: one pair for many stores.
TEST(RegionForgery, ThePairThatSuitsMostSeedsIsFoundUnderEverySecret) {
  constexpr std::uint64_t kStores = 1000;
  const ForgedPair pair(kLikelySeed);
  std::size_t unseen_by_xxh3 = 0;
  for (std::uint64_t store = 0; store < kStores; ++store) {
    RegionSecret secret;
    Prng(store).fill(secret.span());
    const std::uint64_t seed = word_at(secret.span(), 0);
    unseen_by_xxh3 += checksum128(pair.before, seed) == checksum128(pair.after, seed) ? 1U : 0U;
    ASSERT_NE(region_hash(pair.before, secret), region_hash(pair.after, secret)) << store;
  }
  EXPECT_GT(unseen_by_xxh3, kStores / 200) << "the forgery works";
}

}  // namespace
}  // namespace ashlar
