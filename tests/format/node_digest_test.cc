// Tests of digests and levels against values that are computed step by step.
#include <gtest/gtest.h>

#include "codec/hash.h"
#include "format/node_format.h"

namespace ashlar {
namespace {

TEST(RootLevel, GrowsByAFactorOf256) {
  EXPECT_EQ(root_level(BlockCount{0}), 0);
  EXPECT_EQ(root_level(BlockCount{1}), 0);
  EXPECT_EQ(root_level(BlockCount{1024}), 0);
  EXPECT_EQ(root_level(BlockCount{1025}), 1);
  EXPECT_EQ(root_level(BlockCount{1024 * 256}), 1);  // 1 GiB
  EXPECT_EQ(root_level(BlockCount{1024 * 256 + 1}), 2);
  EXPECT_EQ(root_level(BlockCount{std::uint64_t{64} << 28U}), 3);                 // 64 TiB
  EXPECT_EQ(root_level(blocks_covering(ByteCount{std::uint64_t{1} << 54U})), 4);  // 16 PiB
  EXPECT_EQ(root_level(blocks_covering(ByteCount{kMaxVolumeBytes})), kMaxLevel);
}

ContentDigest zero_leaf(std::size_t blocks) {
  const ByteVector zeros(blocks * 32);
  return ContentDigest{sha256("ashlar leaf content v1", zeros)};
}

TEST(ZeroDigest, IsTheDigestOfATreeOfZeroLeaves) {
  EXPECT_EQ(zero_digest(0, BlockCount{1024}), zero_leaf(1024));
  EXPECT_EQ(zero_digest(0, BlockCount{6}), zero_leaf(6));
  // The volume has 2054 blocks: two full leaves and one of six blocks.
  ByteVector body(1, std::byte{1});
  for (const std::size_t blocks : {1024U, 1024U, 6U}) {
    const ContentDigest leaf = zero_leaf(blocks);
    body.insert(body.end(), leaf.bytes.begin(), leaf.bytes.end());
  }
  EXPECT_EQ(zero_digest(1, BlockCount{2054}), ContentDigest{sha256("ashlar inner content v1", body)});
}

TEST(Digests, TellZeroFromUnreadableAndSizesApart) {
  const BlockMark zero = zero_block_mark();
  const BlockMark lost = unreadable_block_mark();
  EXPECT_NE(leaf_digest(std::span(&zero, 1)), leaf_digest(std::span(&lost, 1)));
  const ContentDigest root = zero_digest(0, BlockCount{1});
  EXPECT_NE(volume_digest(ByteCount{4096}, 0, root), volume_digest(ByteCount{4095}, 0, root));
}

}  // namespace
}  // namespace ashlar
