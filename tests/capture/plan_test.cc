// Tests of the plan: what is read of a source, against a model that looks at every block.
#include "capture/plan.h"

#include <gtest/gtest.h>

#include <thread>

#include "capture/plan_rig.h"

namespace ashlar {
namespace {

Plan::Input input_of(StatesOnly& source, MemoryNodes& nodes) {
  return {source,       nodes,        source.size(),
          std::nullopt, std::nullopt, 0,
          false,        false,        [](const Leaf&) { return true; }};
}

// A world at random: a source, maybe a parent of another size, maybe a map, maybe lost segments.
struct RandomWorld {
  explicit RandomWorld(std::uint64_t seed) : prng(seed) {
    const auto some_size = [&] {
      return ByteCount{prng.below(6) * kLeafBytes + (prng.below(2) == 0 ? 0 : prng.below(kLeafBytes)) + 1};
    };
    source = std::make_unique<StatesOnly>(some_size(), SourceState::kData);
    source->cuts = prng.below(2) == 0 ? 0 : 1 + prng.below(3000);
    const std::uint64_t blocks = source->states.size();
    for (std::uint64_t at = 0; at < blocks;) {
      const auto state = static_cast<SourceState>(prng.below(3));
      const std::uint64_t longest = prng.below(3) == 0 ? 4000 : 60;
      for (std::uint64_t n = 1 + prng.below(longest); n > 0 && at < blocks; --n) source->states[at++] = state;
    }
    if (prng.below(4) == 0) return;
    const BlockCount parent_blocks = prng.below(2) == 0 ? BlockCount{blocks} : blocks_covering(some_size());
    std::vector<ChildKind> kinds(leaf_count(parent_blocks));
    for (ChildKind& kind : kinds) kind = static_cast<ChildKind>(1 + prng.below(3));
    parent = std::make_unique<ParentTree>(parent_blocks, std::move(kinds));
    if (prng.below(3) == 0) lost.insert(prng.below(6));
    if (prng.below(4) == 0) return;
    changed.emplace();
    is_exact = prng.below(2) == 0;
    for (std::uint64_t at = 0; at < source->size()->value;) {
      at += 1 + prng.below(prng.below(2) == 0 ? 3 * kLeafBytes : 4 * kRegionBytes);
      const std::uint64_t bytes = 1 + prng.below(prng.below(4) == 0 ? kLeafBytes : kRegionBytes);
      changed->push_back({ByteOffset{at}, ByteCount{bytes}, SourceState::kData});
      at += bytes;
    }
    generation = static_cast<std::uint32_t>(prng.below(1000));
  }

  Plan::Input input() {
    Plan::Input input = input_of(*source, parent ? parent->nodes : no_nodes);
    if (parent) input.parent = parent->root;
    if (changed) input.changed = changed_regions(*changed, BlockCount{source->states.size()});
    input.generation = generation;
    input.changed_is_exact = is_exact;
    input.is_stored = [this](const Leaf& leaf) { return !lost.contains(number_of(leaf)); };
    return input;
  }

  // Returns whether the leaf may take blocks from the parent.
  bool leans(std::uint64_t leaf) const {
    if (!covers(leaf)) return false;
    return parent->kinds[leaf] != ChildKind::kNode || !lost.contains(leaf);
  }
  bool covers(std::uint64_t leaf) const {
    return parent && leaf < parent->kinds.size() &&
           leaf_blocks(parent->root.blocks, leaf) == leaf_blocks(BlockCount{source->states.size()}, leaf);
  }
  bool is_changed(std::uint64_t block) const {
    const std::uint64_t begin = block / kRegionBlocks * kRegionBytes;
    return std::any_of(changed->begin(), changed->end(), [&](const SourceExtent& extent) {
      return extent.offset.value < begin + kRegionBytes && extent.offset.value + extent.bytes.value > begin;
    });
  }
  BlockOrigin origin(std::uint64_t block) const {
    if (changed && leans(block / kLeafBlocks) && !is_changed(block)) return BlockOrigin::kParent;
    switch (source->states[block]) {
      case SourceState::kData:
        return BlockOrigin::kRead;
      case SourceState::kZero:
        return BlockOrigin::kZero;
      case SourceState::kUnallocated:
        return BlockOrigin::kUnallocated;
    }
    return BlockOrigin::kRead;
  }

  Prng prng;
  std::unique_ptr<StatesOnly> source;
  std::unique_ptr<ParentTree> parent;
  MemoryNodes no_nodes;
  std::optional<std::vector<SourceExtent>> changed;
  std::set<std::uint64_t> lost;  // leaves of the parent that name a lost segment
  std::uint32_t generation = 0;
  bool is_exact = false;
};

// Checks the runs of a leaf: they cover the blocks that must be read, and no region without need.
void check_runs(const RandomWorld& world, const PlannedLeaf& leaf) {
  std::vector<int> covered(leaf.origins.size());
  for (const PlannedRun& run : leaf.runs) {
    EXPECT_EQ(run.first_block % kRegionBlocks, 0U);
    for (std::uint32_t i = 0; i < run.block_count; ++i) ++covered.at(run.first_block + i);
  }
  std::size_t stretches = 0;
  bool inside = false;
  for (std::size_t first = 0; first < leaf.origins.size(); first += kRegionBlocks) {
    const std::size_t end = std::min<std::size_t>(first + kRegionBlocks, leaf.origins.size());
    const bool wanted =
        std::count(leaf.origins.begin() + static_cast<std::ptrdiff_t>(first),
                   leaf.origins.begin() + static_cast<std::ptrdiff_t>(end), BlockOrigin::kRead) > 0;
    if (wanted && !inside) ++stretches;
    inside = wanted;
    for (std::size_t i = first; i < end; ++i) {
      EXPECT_LE(covered[i], 1) << "block " << i << " is read twice";
      if (wanted) {
        EXPECT_EQ(covered[i], 1) << "block " << i;
      }
    }
  }
  EXPECT_EQ(leaf.runs.size(), stretches <= 4 ? stretches : 1);
  if (stretches <= 4) {
    std::uint64_t read = 0;
    for (const int times : covered) read += static_cast<std::uint64_t>(times);
    const auto wanted =
        static_cast<std::uint64_t>(std::count(leaf.origins.begin(), leaf.origins.end(), BlockOrigin::kRead));
    EXPECT_LE(read, wanted * kRegionBlocks);
  }
  const std::uint64_t blocks = leaf_blocks(BlockCount{world.source->states.size()}, leaf.index).value;
  EXPECT_EQ(leaf.origins.size(), blocks);
}

TEST(PlanModel, EveryBlockIsWhatTheModelSays) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    Plan plan(world.input());
    const PlanOutcome outcome = outcome_of(plan);
    const std::uint64_t blocks = world.source->states.size();
    std::uint64_t leaf = 0;
    std::vector<RunRequest> requests;
    for (const PlanItem& item : outcome.items) {
      if (const auto* constant = std::get_if<ConstantLeaves>(&item)) {
        const auto state =
            constant->kind == ChildKind::kZero ? BlockOrigin::kZero : BlockOrigin::kUnallocated;
        for (std::uint64_t b = leaf * kLeafBlocks;
             b < std::min(blocks, (leaf + constant->count) * kLeafBlocks); ++b)
          ASSERT_EQ(world.origin(b), state) << "block " << b;
        leaf += constant->count;
        seen.insert("constant");
      } else if (const auto* kept = std::get_if<KeptLeaves>(&item)) {
        // A leaf is kept because the map says so, also when its segments are lost: check_still_there() finds
        // that. It is never kept past the parent's end.
        for (const std::uint64_t end = leaf + kept->count; leaf < end; ++leaf) {
          ASSERT_TRUE(world.covers(leaf) && world.changed);
          for (std::uint64_t b = leaf * kLeafBlocks; b < std::min(blocks, (leaf + 1) * kLeafBlocks); ++b)
            ASSERT_FALSE(world.is_changed(b)) << "block " << b;
        }
        seen.insert("kept");
      } else {
        const auto planned = std::get<std::shared_ptr<const PlannedLeaf>>(item);
        ASSERT_EQ(planned->index, leaf);
        check_runs(world, *planned);
        std::set<std::size_t> audited;
        for (std::size_t i = 0; i < planned->origins.size(); ++i) {
          if (planned->origins[i] == world.origin(leaf * kLeafBlocks + i)) continue;
          ASSERT_EQ(world.origin(leaf * kLeafBlocks + i), BlockOrigin::kParent) << "block " << i;
          audited.insert(i / kRegionBlocks);
        }
        EXPECT_EQ(audited.size(), planned->audit ? 1U : 0U);
        EXPECT_FALSE(planned->audit && world.is_exact);
        const bool has_node = world.leans(leaf) && world.parent->kinds[leaf] == ChildKind::kNode;
        ASSERT_EQ(planned->parent != nullptr, has_node);
        if (has_node) {
          EXPECT_EQ(number_of(*planned->parent), leaf);
        }
        if (world.leans(leaf) && !has_node) {
          EXPECT_EQ(planned->parent_constant, world.parent->kinds[leaf]);
        }
        for (const PlannedRun& run : planned->runs) {
          const std::uint64_t at = (leaf * kLeafBlocks + run.first_block) * kBlockBytes;
          const std::uint64_t end = std::min(world.source->size()->value, at + run.block_count * kBlockBytes);
          requests.push_back({run.ordinal, ByteOffset{at}, ByteCount{end - at}});
          const Plan::RunPlace place = plan.take_place(run.ordinal);
          EXPECT_EQ(place.leaf, planned);
          EXPECT_EQ(place.first_block, run.first_block);
        }
        ++leaf;
        seen.insert(planned->audit ? "audit" : "leaf");
        if (planned->runs.size() == 4) seen.insert("four runs");
      }
    }
    EXPECT_EQ(leaf, leaf_count(BlockCount{blocks}));
    ASSERT_EQ(outcome.requests.size(), requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(outcome.requests[i].ordinal, i) << "requests are counted in order";
      EXPECT_EQ(outcome.requests[i].ordinal, requests[i].ordinal);
      EXPECT_EQ(outcome.requests[i].offset, requests[i].offset);
      EXPECT_EQ(outcome.requests[i].bytes, requests[i].bytes);
    }
  }
  EXPECT_EQ(seen, (std::set<std::string>{"audit", "constant", "four runs", "kept", "leaf"}));
}

TEST(PlanModel, ChangedRegionsAreTheRegionsThatAChangeTouches) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    RandomWorld world(seed);
    if (!world.changed) continue;
    const std::uint64_t blocks = world.source->states.size();
    const ChangedRegions regions = changed_regions(*world.changed, BlockCount{blocks});
    std::vector<bool> marked(blocks);
    std::uint64_t end_before = 0;
    for (const BlockRange& range : regions) {
      EXPECT_TRUE(end_before == 0 || range.first.value > end_before) << "neither overlapping nor touching";
      end_before = range.end().value;
      for (std::uint64_t b = range.first.value; b < range.end().value; ++b) marked.at(b) = true;
    }
    for (std::uint64_t b = 0; b < blocks; ++b) ASSERT_EQ(marked[b], world.is_changed(b)) << "block " << b;
  }
}

TEST(PlanModel, LostLeavesOfTheParentAreCounted) {
  ParentTree parent = ParentTree::full(BlockCount{3 * kLeafBlocks});
  StatesOnly source(ByteCount{3 * kLeafBytes}, SourceState::kData);
  Plan::Input input = input_of(source, parent.nodes);
  input.parent = parent.root;
  input.is_stored = [](const Leaf& leaf) { return number_of(leaf) != 1; };
  Plan plan(input);
  const auto leaves = leaves_of(outcome_of(plan));
  ASSERT_EQ(leaves.size(), 3U);
  EXPECT_NE(leaves[0]->parent, nullptr);
  EXPECT_EQ(leaves[1]->parent, nullptr);
  EXPECT_EQ(plan.lost_leaves(), 1U);
}

// The audit samples each fourth of 200 leaves, and leaf 101 is not among them.
TEST(PlanModel, WhereDamageIsKnownTheLeavesThatAMapLeavesOutAreLookedAt) {
  constexpr std::uint64_t kLeaves = 200;
  constexpr std::uint64_t kLost = 101;
  ParentTree parent = ParentTree::full(BlockCount{kLeaves * kLeafBlocks});
  StatesOnly source(ByteCount{kLeaves * kLeafBytes}, SourceState::kData);
  Plan::Input input = input_of(source, parent.nodes);
  input.parent = parent.root;
  input.changed = ChangedRegions();
  input.is_stored = [](const Leaf& leaf) { return number_of(leaf) != kLost; };
  std::size_t audited = 0;
  for (const bool checks_kept : {false, true}) {
    SCOPED_TRACE(checks_kept);
    input.checks_kept = checks_kept;
    Plan plan(input);
    const PlanOutcome outcome = outcome_of(plan);
    EXPECT_EQ(plan.lost_leaves(), checks_kept ? 1U : 0U);
    if (!checks_kept) audited = leaves_of(outcome).size();
    EXPECT_EQ(leaves_of(outcome).size(), audited + (checks_kept ? 1 : 0)) << "no more are audited";
    EXPECT_EQ(std::ranges::count(outcome.requests, ByteOffset{kLost * kLeafBytes}, &RunRequest::offset),
              checks_kept ? 1 : 0);
  }
}

TEST(PlanModel, AStreamIsAllDataWithoutAnEnd) {
  MemoryNodes nodes;
  StatesOnly source(ByteCount{1}, SourceState::kUnallocated);
  Plan::Input input = input_of(source, nodes);
  input.size.reset();
  Plan plan(input);
  for (std::uint64_t i = 0; i < 10; ++i) {
    const auto request = plan.next_request().take();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->offset, ByteOffset{i * kLeafBytes});
    EXPECT_EQ(request->bytes, ByteCount{kLeafBytes});
  }
  EXPECT_EQ(source.asked, 0U) << "a stream has no extents";
}

// A hole of 64 PiB.
class HugeHole : public StatesOnly {
 public:
  HugeHole() : StatesOnly(ByteCount{1}, SourceState::kUnallocated) {}
  std::optional<ByteCount> size() const override { return ByteCount{kMaxVolumeBytes}; }
  Result<SourceExtent> next_extent(ByteOffset offset) override {
    ++asked;
    return SourceExtent{offset, ByteCount{kMaxVolumeBytes - offset.value}, SourceState::kUnallocated};
  }
};

TEST(PlanModel, AHugeHoleIsOneItem) {
  HugeHole source;
  ParentTree parent = ParentTree::full(BlockCount{2 * kLeafBlocks});
  Plan::Input input = input_of(source, parent.nodes);
  input.parent = parent.root;
  Plan plan(input);
  const PlanOutcome outcome = outcome_of(plan);
  ASSERT_EQ(outcome.items.size(), 1U);
  EXPECT_EQ(std::get<ConstantLeaves>(outcome.items[0]).count, kMaxVolumeBytes / kLeafBytes);
  EXPECT_EQ(source.asked, 1U);
  EXPECT_EQ(parent.nodes.reads(), 0U) << "the parent is not asked about a hole";
}

// A source whose extents meet inside block 1.
class MeetsInABlock : public StatesOnly {
 public:
  MeetsInABlock() : StatesOnly(ByteCount{kRegionBytes}, SourceState::kZero) {}
  Result<SourceExtent> next_extent(ByteOffset offset) override {
    if (offset.value < 5000) return SourceExtent{ByteOffset{0}, ByteCount{5000}, SourceState::kZero};
    return SourceExtent{ByteOffset{5000}, ByteCount{kRegionBytes - 5000}, SourceState::kUnallocated};
  }
};

TEST(PlanModel, ABlockInWhichTwoExtentsMeetIsRead) {
  MeetsInABlock source;
  MemoryNodes nodes;
  Plan plan(input_of(source, nodes));
  const auto leaves = leaves_of(outcome_of(plan));
  ASSERT_EQ(leaves.size(), 1U);
  EXPECT_EQ(leaves[0]->origins[0], BlockOrigin::kZero);
  EXPECT_EQ(leaves[0]->origins[1], BlockOrigin::kRead);
  EXPECT_EQ(leaves[0]->origins[2], BlockOrigin::kUnallocated);
}

// The audit.

using Sample = std::set<std::pair<std::uint64_t, std::size_t>>;  // leaves and regions

Sample audited_in(ParentTree& parent, StatesOnly& source, std::uint32_t generation) {
  Plan::Input input = input_of(source, parent.nodes);
  input.parent = parent.root;
  input.changed = ChangedRegions{};
  input.generation = generation;
  Plan plan(input);
  Sample sample;
  for (const auto& leaf : leaves_of(outcome_of(plan))) {
    EXPECT_TRUE(leaf->audit);
    EXPECT_EQ(leaf->runs.size(), 1U);
    for (const PlannedRun& run : leaf->runs) sample.insert({leaf->index, run.first_block / kRegionBlocks});
  }
  return sample;
}

TEST(Audit, EveryRegionIsReadWithinThePromisedNumberOfRuns) {
  for (const std::uint64_t leaves : {1U, 7U, 64U, 65U, 128U, 130U, 256U}) {
    SCOPED_TRACE(leaves);
    const std::uint64_t stride = (leaves + 63) / 64;  // a leaf is sampled in every stride-th capture
    ParentTree parent = ParentTree::full(BlockCount{leaves * kLeafBlocks});
    StatesOnly source(ByteCount{leaves * kLeafBytes}, SourceState::kData);
    Sample all;
    for (std::uint32_t generation = 0; generation < stride * kLeafRegions; ++generation) {
      const Sample sample = audited_in(parent, source, generation);
      EXPECT_LE(sample.size(), 64U) << "an audit of a large volume reads at most 64 regions";
      EXPECT_GE(sample.size(), leaves / stride);
      all.insert(sample.begin(), sample.end());
    }
    EXPECT_EQ(all.size(), leaves * kLeafRegions);
  }
}

TEST(Audit, AShortLastLeafIsAuditedToo) {
  const BlockCount blocks{kLeafBlocks + 20};
  ParentTree parent = ParentTree::full(blocks);
  StatesOnly source(ByteCount{byte_count(blocks).value - 100}, SourceState::kData);
  Sample all;
  for (std::uint32_t generation = 0; generation < kLeafRegions; ++generation) {
    const Sample sample = audited_in(parent, source, generation);
    all.insert(sample.begin(), sample.end());
  }
  EXPECT_EQ(all.size(), kLeafRegions + 2);
}

TEST(Audit, AHoleOfTheParentIsReadOnlyWhereTheSourceHasData) {
  ParentTree parent(BlockCount{2 * kLeafBlocks}, {ChildKind::kUnallocated, ChildKind::kZero});
  StatesOnly holes(ByteCount{2 * kLeafBytes}, SourceState::kUnallocated);
  StatesOnly data(ByteCount{2 * kLeafBytes}, SourceState::kData);
  EXPECT_TRUE(audited_in(parent, holes, 0).empty());
  EXPECT_EQ(audited_in(parent, data, 0).size(), 2U);
}

TEST(Audit, AnExactMapIsBelieved) {
  ParentTree parent = ParentTree::full(BlockCount{300 * kLeafBlocks});
  StatesOnly source(ByteCount{300 * kLeafBytes}, SourceState::kData);
  Plan::Input input = input_of(source, parent.nodes);
  input.parent = parent.root;
  input.changed = ChangedRegions{{Lba{5 * kLeafBlocks}, BlockCount{16}}};
  input.changed_is_exact = true;
  Plan plan(input);
  const PlanOutcome outcome = outcome_of(plan);
  EXPECT_EQ(outcome.requests.size(), 1U);
  ASSERT_EQ(outcome.items.size(), 3U);
  EXPECT_EQ(std::get<KeptLeaves>(outcome.items[0]).count, 5U);
  EXPECT_EQ(std::get<KeptLeaves>(outcome.items[2]).count, 294U);
}

// The queue between the plan and the assembler.

TEST(PlanQueue, AReaderThatWaitsIsWokenByAnItemByTheEndAndByACancellation) {
  MemoryNodes nodes;
  StatesOnly source(ByteCount{2 * kLeafBytes}, SourceState::kData);
  Plan plan(input_of(source, nodes));
  std::atomic<int> taken{0};
  std::jthread reader([&] {
    while (plan.next_item()) ++taken;
  });
  while (plan.next_request().take()) {
  }
  reader.join();
  EXPECT_EQ(taken, 2);

  Plan cancelled(input_of(source, nodes));
  ASSERT_TRUE(cancelled.next_request().take());
  cancelled.cancel();
  EXPECT_FALSE(cancelled.next_item()) << "items that were not taken are dropped";
  EXPECT_FALSE(cancelled.next_request().take()) << "a cancelled plan asks for nothing more";
}

// Leaves that became holes need no run: nothing but the bound keeps all of them from being queued at once.
TEST(PlanQueue, ItIsBoundedWhenNoRunHoldsItBack) {
  const std::uint64_t leaves = 2 * Plan::kMaxItems + 100;
  ParentTree parent = ParentTree::full(BlockCount{leaves * kLeafBlocks});
  StatesOnly source(ByteCount{leaves * kLeafBytes}, SourceState::kUnallocated);
  Plan::Input input = input_of(source, parent.nodes);
  input.parent = parent.root;
  input.changed.emplace();
  for (std::uint64_t leaf = 0; leaf < leaves; ++leaf)
    input.changed->push_back({Lba{leaf * kLeafBlocks}, BlockCount{kRegionBlocks}});
  Plan plan(input);
  std::uint64_t taken = 0;
  while (true) {
    const auto request = plan.next_request().take();
    if (!request) break;
    ASSERT_EQ(request->bytes.value, 0U) << "no leaf needs a run";
    std::size_t queued = 0;
    for (std::size_t i = 0; i < Plan::kMaxItems; ++i) queued += plan.next_item() ? 1U : 0U;
    taken += queued;
    ASSERT_LT(taken, leaves);
  }
  while (plan.next_item()) ++taken;
  EXPECT_EQ(taken, leaves);
}

}  // namespace
}  // namespace ashlar
