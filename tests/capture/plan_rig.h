// PlanRig: a source that only has extents, a parent tree in memory, and the whole outcome of a plan over
// them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "capture/plan.h"
#include "support/memory_nodes.h"
#include "support/synthetic_tree.h"

namespace ashlar {

// A source of `size` bytes with a state per block. Its extents are cut at random places where `cuts` says so.
class StatesOnly : public Source {
 public:
  StatesOnly(ByteCount size, SourceState state) : states(blocks_covering(size).value, state), size_(size) {}
  SourceType type() const override { return SourceType::kFile; }
  const std::string& name() const override { return name_; }
  std::string identity() const override { return {}; }
  std::optional<ByteCount> size() const override { return size_; }
  Result<SourceExtent> next_extent(ByteOffset offset) override {
    ++asked;
    const std::uint64_t first = lba_of(offset).value;
    std::uint64_t end = first + 1;
    while (end < states.size() && states[end] == states[first] && (cuts == 0 || end % cuts != 0)) ++end;
    const std::uint64_t stop = std::min(end * kBlockBytes, size_.value);
    return SourceExtent{offset, ByteCount{stop - offset.value}, states[first]};
  }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan) override { return unsupported("states only"); }

  std::vector<SourceState> states;
  std::uint64_t cuts = 0;
  std::uint64_t asked = 0;  // calls of next_extent

 private:
  ByteCount size_;
  std::string name_ = "states";
};

struct PlanOutcome {
  std::vector<PlanItem> items;
  std::vector<RunRequest> requests;
};

// Takes everything that a plan of a source with an end has to say.
inline PlanOutcome outcome_of(Plan& plan) {
  PlanOutcome outcome;
  while (true) {
    const auto request = plan.next_request();
    if (!request.ok()) {
      ADD_FAILURE() << request.error().text();
      return outcome;
    }
    if (!request.value()) break;
    if (request.value()->bytes.value > 0) {
      outcome.requests.push_back(*request.value());
    } else {
      outcome.items.push_back(*plan.next_item());  // makes room
    }
  }
  while (auto item = plan.next_item()) outcome.items.push_back(std::move(*item));
  return outcome;
}

inline std::vector<std::shared_ptr<const PlannedLeaf>> leaves_of(const PlanOutcome& outcome) {
  std::vector<std::shared_ptr<const PlannedLeaf>> leaves;
  for (const PlanItem& item : outcome.items) {
    if (const auto* leaf = std::get_if<std::shared_ptr<const PlannedLeaf>>(&item)) leaves.push_back(*leaf);
  }
  return leaves;
}

// A parent snapshot: each leaf is a node full of data, or a constant.
class ParentTree {
 public:
  ParentTree(BlockCount blocks, std::vector<ChildKind> leaves) : kinds(std::move(leaves)) {
    ManifestBuilder builder(nodes, nodes, blocks, std::nullopt);
    for (std::uint64_t i = 0; i < kinds.size(); ++i) {
      if (kinds[i] != ChildKind::kNode) {
        EXPECT_TRUE(builder.add_constant(kinds[i], 1).ok());
        continue;
      }
      Leaf leaf = synthetic_leaf(i);
      const std::uint64_t count = leaf_blocks(blocks, i).value;
      leaf.extents[0].block_count = static_cast<std::uint16_t>(count);
      leaf.regions.resize((count + kRegionBlocks - 1) / kRegionBlocks);
      leaf.region_mask >>= kLeafRegions - leaf.regions.size();
      EXPECT_TRUE(builder.add_leaf(leaf).ok());
    }
    auto built = builder.finish();
    EXPECT_TRUE(built.ok());
    root = built.take();
  }
  static ParentTree full(BlockCount blocks) {
    return ParentTree(blocks, std::vector<ChildKind>(leaf_count(blocks), ChildKind::kNode));
  }

  MemoryNodes nodes;
  std::vector<ChildKind> kinds;
  TreeRoot root;
};

// Returns the number of a leaf of ParentTree.
inline std::uint64_t number_of(const Leaf& leaf) { return leaf.segments.front().prefix(); }

}  // namespace ashlar
