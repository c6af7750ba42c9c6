// Tests of Healing: what is offered is checked and stored under its segment, in any order and in parts.
#include "repair/healing.h"

#include "repair/other_packs.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

class HealingTest : public testing::Test {
 protected:
  // RepairNeeds blocks of a segment of the seeds.
  void need(const std::vector<std::uint64_t>& seeds, const SegmentBlocks& blocks, bool knows_ids = true) {
    const SealedSegment segment = sealed_segment(seeds);
    needs_.segments[segment.id] = {blocks, knows_ids ? segment.blocks : std::vector<BlockId>()};
    id_ = segment.id;
  }
  std::unique_ptr<Healing> healing() {
    return std::make_unique<Healing>(store_.objects(), store_.index(), config_, StoreRig::session(), needs_);
  }
  void expect_stored(std::size_t block, std::uint64_t seed) {
    const auto segment = expect_ok(store_.segments().locate(id_));
    ByteVector out(kBlockBytes);
    ASSERT_FINE(store_.segments().read(*segment, block, 1, out));
    EXPECT_EQ(out, block_of(seed));
  }

  static StoreConfig config() {
    StoreConfig config;
    config.id = StoreRig::id();
    return config;
  }
  StoreRig store_;
  const StoreConfig config_ = config();
  RepairNeeds needs_;
  SegmentId id_;
};

TEST_F(HealingTest, OnlyWhatIsNeededIsStoredAndTheRestIsAbsent) {
  need(seeds_from(100, 200), block_set(3, 2) | block_set(150, 30));
  const auto healing = this->healing();
  for (std::uint64_t seed = 350; seed-- > 0;) ASSERT_FINE(healing->offer(id_of_block(seed), block_of(seed)));
  EXPECT_TRUE(healing->is_done());
  ASSERT_FINE(healing->finish());
  EXPECT_EQ(healing->healed_blocks(), 32U);
  EXPECT_TRUE(needs_.empty());
  const auto segment = expect_ok(store_.segments().locate(id_));
  EXPECT_EQ(segment->present, block_set(3, 2) | block_set(150, 30));
  for (const std::size_t block : {3U, 4U, 150U, 165U, 166U, 179U}) expect_stored(block, 100 + block);
}

TEST_F(HealingTest, ABlockThatIsNotWhatItClaimsIsRefused) {
  need(seeds_from(100, 10), block_set(0, 10));
  const auto healing = this->healing();
  EXPECT_TRUE(is(healing->offer(id_of_block(104), block_of(105)), ErrorCode::kCorrupt));
  EXPECT_TRUE(healing->wants(id_of_block(104)));
}

TEST_F(HealingTest, ABlockThatStandsTwiceInASegmentIsStoredTwice) {
  need({7, 8, 7}, block_set(0, 3));
  const auto healing = this->healing();
  ASSERT_FINE(healing->offer(id_of_block(7), block_of(7)));
  ASSERT_FINE(healing->finish());
  EXPECT_EQ(healing->healed_blocks(), 2U);
  EXPECT_EQ(needs_.segments.at(id_).blocks, block_set(1, 1));
  expect_stored(0, 7);
  expect_stored(2, 7);
}

// A segment whose parts come in two rounds gets two places, each in a pack of its own.
TEST_F(HealingTest, PartsThatComeLaterGetAnotherPlace) {
  need(seeds_from(0, 64), block_set(0, 64));
  const auto healing = this->healing();
  for (std::uint64_t seed = 0; seed < 40; ++seed)
    ASSERT_FINE(healing->offer(id_of_block(seed), block_of(seed)));
  ASSERT_FINE(healing->finish());
  for (std::uint64_t seed = 40; seed < 64; ++seed)
    ASSERT_FINE(healing->offer(id_of_block(seed), block_of(seed)));
  ASSERT_FINE(healing->finish());
  EXPECT_EQ(expect_ok(store_.index().segment_places(id_)).size(), 2U);
  EXPECT_TRUE(needs_.empty());
  for (const std::size_t block : {0U, 39U, 40U, 63U}) expect_stored(block, block);
}

TEST_F(HealingTest, IdsAreBelievedOnlyIfTheyAreTheSegments) {
  need(seeds_from(0, 20), ~SegmentBlocks(), false);
  const auto healing = this->healing();
  EXPECT_FALSE(healing->is_done());
  healing->learn(id_, sealed_segment(seeds_from(1, 20)).blocks);
  EXPECT_FALSE(healing->wants_blocks());
  healing->learn(id_, sealed_segment(seeds_from(0, 20)).blocks);
  EXPECT_TRUE(healing->wants_blocks());
  EXPECT_EQ(healing->wanted(id_), block_set(0, 20));
}

// Blocks are found by their ids in any segment of another store.
TEST_F(HealingTest, AnotherStoreHasTheBlocksInOtherSegments) {
  StoreRig other;
  FrameEncoder encoder(1);
  PackAppender packs(other.objects(), other.index(), StoreRig::id(), StoreRig::session());
  ASSERT_FINE(packs.append(encoded_segment(sealed_segment(seeds_from(90, 300)))));
  ASSERT_FINE(packs.publish());
  need(seeds_from(100, 50), block_set(10, 5));
  const auto healing = this->healing();
  ASSERT_FINE(offer_packs(*healing, {other.objects(), other.index(), other.segments()}, {}));
  ASSERT_FINE(healing->finish());
  EXPECT_TRUE(needs_.empty());
  for (std::size_t block = 10; block < 15; ++block) expect_stored(block, 100 + block);
}

}  // namespace
}  // namespace ashlar
