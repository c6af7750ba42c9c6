// Tests of what an index answers, in whichever order it learned of packs.
#include "index/index.h"

#include "index/index_world.h"

namespace ashlar {
namespace {

TEST(IndexTest, AnEmptyIndexKnowsNothingAndSaysSo) {
  const TempDir dir;
  World world(dir / "store", 1);
  const auto index = must(Index::open(dir / "index", world.objects()));
  EXPECT_EQ(must(index->catch_up()).packs_added, 0U);
  const BlockId block{};
  EXPECT_EQ(must(index->find_hooks({&block, 1})).front(), std::nullopt);
  EXPECT_TRUE(must(index->find_hooks({})).empty());
  EXPECT_EQ(must(index->find_segment(SegmentId{})), std::nullopt);
  EXPECT_EQ(must(index->find_node(NodeId{})), std::nullopt);
  EXPECT_TRUE(must(index->pack_segments(PackId{})).empty());
  EXPECT_FALSE(must(index->has_pack(PackId{})));
  must(index->forget_pack(PackId{}));
  EXPECT_TRUE(must(index->stats()).writable);
}

TEST(IndexTest, WhatWasAddedIsFoundAtOnceAndAfterReopening) {
  const TempDir dir;
  World world(dir / "store", 2);
  world.publish_some(8);
  {
    const auto index = must(Index::open(dir / "index", world.objects()));
    for (const auto& [pack, contents] : world.packs()) world.tell(*index, pack);
    EXPECT_EQ(world.ask(*index), world.expected());
    must(index->flush());
  }
  const auto index = must(Index::open(dir / "index", world.objects()));
  EXPECT_EQ(world.ask(*index), world.expected());
  const CatchUpReport report = must(index->catch_up());
  EXPECT_EQ(report.packs_added + report.packs_gone, 0U);
}

TEST(IndexTest, CatchingUpIngestsNewPacksForgetsLostOnesAndIsIdempotent) {
  const TempDir dir;
  World world(dir / "store", 3);
  world.publish_some(6);
  const auto index = must(Index::open(dir / "index", world.objects()));
  EXPECT_EQ(must(index->catch_up()).packs_added, 6U);
  EXPECT_EQ(world.ask(*index), world.expected());
  world.remove(world.any_pack());
  world.publish_some(3);
  const CatchUpReport report = must(index->catch_up());
  EXPECT_EQ(report.packs_added, 3U);
  EXPECT_EQ(report.packs_gone, 1U);
  EXPECT_EQ(world.ask(*index), world.expected());
  const CatchUpReport again = must(index->catch_up());
  EXPECT_EQ(again.packs_added + again.packs_gone, 0U);
}

TEST(IndexTest, OnlyHooksAndFirstBlocksOfSegmentsHaveAnswers) {
  const TempDir dir;
  World world(dir / "store", 4);
  const PackId pack = world.publish_data(1);
  const auto index = must(Index::open_in_memory(world.objects()));
  world.tell(*index, pack);
  const PackedSegment& segment = world.packs().at(pack).segments.front();
  const auto answers = must(index->find_hooks(segment.blocks));
  ASSERT_EQ(answers.size(), segment.blocks.size());
  std::set<BlockId> firsts;
  for (const PackedSegment& other : world.packs().at(pack).segments) firsts.insert(other.blocks.front());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].has_value(),
              firsts.contains(segment.blocks[i]) || is_hook(segment.blocks[i], kDefaultHookRate))
        << i;
  }
}

TEST(IndexTest, StatsCountWhatThePacksHold) {
  const TempDir dir;
  World world(dir / "store", 5);
  world.publish_data(3);
  world.publish_meta(4);
  const auto on_disk = must(Index::open(dir / "index", world.objects()));
  const auto in_memory = must(Index::open_in_memory(world.objects()));
  for (auto* index : {on_disk.get(), in_memory.get()}) {
    must(index->catch_up());
    const IndexStats stats = must(index->stats());
    EXPECT_EQ(stats.data_packs, 1U);
    EXPECT_EQ(stats.meta_packs, 1U);
    std::uint64_t blocks = 0;
    std::uint64_t segments = 0;
    std::uint64_t nodes = 0;
    for (const auto& [id, pack] : world.packs()) {
      segments += pack.segments.size();
      nodes += pack.nodes.size();
      for (const PackedSegment& segment : pack.segments) blocks += segment.blocks.size();
    }
    EXPECT_EQ(stats.segments, segments);
    EXPECT_EQ(stats.nodes, nodes);
    EXPECT_EQ(stats.blocks, blocks);
    EXPECT_EQ(stats.node_bytes, 100 * nodes);
    EXPECT_GE(stats.data_bytes, blocks * kBlockBytes);
    EXPECT_GT(stats.hooks, 0U);
    EXPECT_EQ(stats.disk_bytes > 0, index == on_disk.get());
  }
}

// Indexes learn of the same added and removed packs, each in its own way; all of them always answer as the
// plain model does, and so does one that is rebuilt from the packs.
TEST(IndexTest, AnswersDependOnThePacksAndNotOnTheirOrder) {
  for (std::uint64_t seed = 100; seed < 106; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const TempDir dir;
    World world(dir / "store", seed);
    const auto told = must(Index::open(dir / "told", world.objects()));
    const auto caught_up = must(Index::open(dir / "caught", world.objects()));
    const auto in_memory = must(Index::open_in_memory(world.objects()));
    for (int step = 0; step < 25; ++step) {
      if (world.packs().size() > 3 && world.prng().below(3) == 0) {
        const PackId gone = world.any_pack();
        must(told->forget_pack(gone));
        must(in_memory->forget_pack(gone));
        world.remove(gone);
      } else {
        world.publish_some(1);
        std::vector<PackId> unknown;
        for (const auto& [pack, contents] : world.packs()) {
          if (!must(told->has_pack(pack))) unknown.push_back(pack);
        }
        if (world.prng().below(2) == 0) std::ranges::reverse(unknown);
        for (const PackId& pack : unknown) {
          world.tell(*told, pack);
          world.tell(*in_memory, pack);
        }
      }
      if (world.prng().below(8) == 0) must(told->flush());
      if (step % 6 != 0) continue;
      must(caught_up->catch_up());
      const Answers expected = world.expected();
      ASSERT_EQ(world.ask(*told), expected);
      ASSERT_EQ(world.ask(*caught_up), expected);
      ASSERT_EQ(world.ask(*in_memory), expected);
    }
    must(told->rebuild());
    EXPECT_EQ(world.ask(*told), world.expected());
  }
}

}  // namespace
}  // namespace ashlar
