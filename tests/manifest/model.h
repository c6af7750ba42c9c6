// Volumes as plain vectors of leaves, which say what the tree must read as, without a tree.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"
#include "manifest/builder.h"
#include "manifest/diff.h"
#include "support/memory_nodes.h"

namespace ashlar {

// Returns the id of segment k. Its block i holds content (37 k + i) mod 97, so each content has many places.
inline SegmentId model_segment(std::uint64_t k) {
  SegmentId id;
  std::memcpy(id.bytes.data(), &k, sizeof k);
  id.bytes.back() = std::byte{0xab};
  return id;
}

inline std::vector<BlockMark> model_marks(const Leaf& leaf) {
  std::vector<BlockMark> marks;
  for (const LeafExtent& extent : leaf.extents) {
    for (std::uint64_t i = 0; i < extent.block_count; ++i) {
      BlockMark mark;
      if (extent.kind == ExtentKind::kUnreadable) mark = unreadable_block_mark();
      if (extent.kind == ExtentKind::kData) {
        const std::uint64_t content =
            1 + (leaf.segments[extent.segment].prefix() * 37 + extent.first_block + i) % 97;
        std::memcpy(mark.bytes.data(), &content, sizeof content);
      }
      marks.push_back(mark);
    }
  }
  return marks;
}

class ModelMarks : public BlockMarkReader {
 public:
  Result<std::vector<BlockMark>> block_marks(const Leaf& leaf) override {
    ++reads;
    return model_marks(leaf);
  }
  std::uint64_t reads = 0;
};

// Appends a run, and merges it with the last one where the format asks for it.
inline void append_extent(Leaf& leaf, ExtentKind kind, std::uint64_t blocks, std::uint64_t segment = 0,
                          std::uint64_t first_block = 0) {
  LeafExtent extent{kind, static_cast<std::uint16_t>(blocks), 0, static_cast<std::uint16_t>(first_block)};
  if (kind == ExtentKind::kData) {
    const auto at = std::find(leaf.segments.begin(), leaf.segments.end(), model_segment(segment));
    extent.segment = static_cast<std::uint16_t>(at - leaf.segments.begin());
    if (at == leaf.segments.end()) leaf.segments.push_back(model_segment(segment));
  }
  if (!leaf.extents.empty()) {
    LeafExtent& last = leaf.extents.back();
    const bool follows =
        kind != ExtentKind::kData ||
        (last.segment == extent.segment && last.first_block + last.block_count == extent.first_block);
    if (last.kind == kind && follows) {
      last.block_count = static_cast<std::uint16_t>(last.block_count + blocks);
      return;
    }
  }
  leaf.extents.push_back(extent);
}

inline Leaf constant_leaf(ExtentKind kind, BlockCount blocks) {
  Leaf leaf;
  append_extent(leaf, kind, blocks.value);
  leaf.digest = leaf_digest(model_marks(leaf));
  return leaf;
}

inline Leaf data_leaf(std::uint64_t segment, BlockCount blocks) {
  Leaf leaf;
  append_extent(leaf, ExtentKind::kData, blocks.value, segment);
  leaf.digest = leaf_digest(model_marks(leaf));
  return leaf;
}

inline Leaf random_leaf(Prng& prng, BlockCount blocks) {
  Leaf leaf;
  const bool without_data = prng.below(8) == 0;
  for (std::uint64_t left = blocks.value; left > 0;) {
    const std::uint64_t run = 1 + prng.below(prng.below(4) == 0 ? left : std::min<std::uint64_t>(left, 64));
    switch (prng.below(without_data ? 2 : 6)) {
      case 0:
        append_extent(leaf, ExtentKind::kZero, run);
        break;
      case 1:
        append_extent(leaf, ExtentKind::kUnallocated, run);
        break;
      case 2:
        append_extent(leaf, ExtentKind::kUnreadable, run);
        break;
      default:
        append_extent(leaf, ExtentKind::kData, run, prng.below(6), prng.below(kSegmentBlocks - run + 1));
    }
    left -= run;
  }
  if (prng.below(4) == 0) {
    leaf.no_region_hashes = true;
    leaf.digest = leaf_digest(model_marks(leaf));
    return leaf;
  }
  leaf.region_mask = prng.next() >> (kLeafRegions - (blocks.value + kRegionBlocks - 1) / kRegionBlocks);
  leaf.regions.resize(static_cast<std::size_t>(std::popcount(leaf.region_mask)));
  prng.fill(std::as_writable_bytes(std::span(leaf.regions)));
  leaf.digest = leaf_digest(model_marks(leaf));
  return leaf;
}

// The leaves of a volume. Equal leaves share one object, because most volumes have few distinct ones.
struct ModelVolume {
  BlockCount blocks;
  std::vector<std::shared_ptr<const Leaf>> leaves;
};

// A pool of leaves to draw from, made once for each length.
class LeafPool {
 public:
  explicit LeafPool(Prng& prng) : prng_(prng) {}
  std::shared_ptr<const Leaf> any(BlockCount blocks) {
    const std::vector<std::shared_ptr<const Leaf>>& pool = of(blocks);
    return pool[prng_.below(pool.size())];
  }
  std::shared_ptr<const Leaf> constant(ChildKind kind, BlockCount blocks) {
    return of(blocks)[kind == ChildKind::kZero ? 0 : 1];
  }

 private:
  const std::vector<std::shared_ptr<const Leaf>>& of(BlockCount blocks) {
    auto& pool = pools_[blocks.value];
    if (!pool.empty()) return pool;
    pool.push_back(std::make_shared<const Leaf>(constant_leaf(ExtentKind::kZero, blocks)));
    pool.push_back(std::make_shared<const Leaf>(constant_leaf(ExtentKind::kUnallocated, blocks)));
    for (int i = 0; i < 14; ++i) pool.push_back(std::make_shared<const Leaf>(random_leaf(prng_, blocks)));
    return pool;
  }
  Prng& prng_;
  std::map<std::uint64_t, std::vector<std::shared_ptr<const Leaf>>> pools_;
};

inline TreeRoot build_from_scratch(MemoryNodes& nodes, const ModelVolume& volume) {
  ManifestBuilder builder(nodes, nodes, volume.blocks, std::nullopt);
  for (const auto& leaf : volume.leaves) EXPECT_TRUE(builder.add_leaf(*leaf).ok());
  return builder.finish().take();
}

inline ChildKind kind_of(const Leaf& leaf) {
  const bool constant = leaf.extents.size() == 1;
  if (constant && leaf.extents[0].kind == ExtentKind::kZero) return ChildKind::kZero;
  if (constant && leaf.extents[0].kind == ExtentKind::kUnallocated) return ChildKind::kUnallocated;
  return ChildKind::kNode;
}

// Checks that the tree, read span by span, equals the model.
inline void expect_reads_as(MemoryNodes& nodes, const TreeRoot& root, const ModelVolume& volume) {
  ASSERT_EQ(root.blocks, volume.blocks);
  LeafCursor cursor(nodes, root);
  for (std::uint64_t i = 0; i < volume.leaves.size();) {
    const LeafSpan span = cursor.at(i).take();
    ASSERT_EQ(span.first, i);
    ASSERT_GE(span.count, 1U);
    ASSERT_LE(span.first + span.count, volume.leaves.size());
    for (std::uint64_t k = 0; k < span.count; ++k)
      ASSERT_EQ(kind_of(*volume.leaves[i + k]), span.ref.kind) << i + k;
    if (span.ref.is_node()) {
      ASSERT_EQ(*cursor.load(span).take(), *volume.leaves[i]) << i;
    }
    i += span.count;
  }
}

// Returns the ranges whose block ids differ, found block by block.
inline std::vector<BlockRange> model_diff(const ModelVolume& a, const ModelVolume& b) {
  std::vector<BlockRange> ranges;
  const auto add = [&](std::uint64_t lba, std::uint64_t count) {
    if (count == 0) return;
    if (!ranges.empty() && ranges.back().end().value == lba) {
      ranges.back().count += BlockCount{count};
    } else {
      ranges.push_back({Lba{lba}, BlockCount{count}});
    }
  };
  for (std::size_t i = 0; i < std::min(a.leaves.size(), b.leaves.size()); ++i) {
    if (a.leaves[i] == b.leaves[i]) continue;
    const auto a_ids = model_marks(*a.leaves[i]);
    const auto b_ids = model_marks(*b.leaves[i]);
    for (std::size_t k = 0; k < std::min(a_ids.size(), b_ids.size()); ++k) {
      if (a_ids[k] != b_ids[k]) add(i * kLeafBlocks + k, 1);
    }
  }
  const auto common = std::min(a.blocks, b.blocks);
  add(common.value, (std::max(a.blocks, b.blocks) - common).value);
  return ranges;
}

inline std::vector<BlockRange> tree_diff(MemoryNodes& nodes, const TreeRoot& a, const TreeRoot& b,
                                         DiffCounters* counters = nullptr) {
  std::vector<BlockRange> ranges;
  ModelMarks ids;
  const auto visit = [&](BlockRange range) -> Status {
    ranges.push_back(range);
    return {};
  };
  EXPECT_TRUE(diff_trees(nodes, ids, a, b, visit, counters).ok());
  return ranges;
}

}  // namespace ashlar
