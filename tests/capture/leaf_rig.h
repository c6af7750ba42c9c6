// LeafRig: one leaf of a volume through hashing, assembly and draft, over a small store in memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "capture/hash.h"
#include "capture/leaf_assembly.h"
#include "support/store_rig.h"

namespace ashlar {

using Origins = std::vector<BlockOrigin>;

// The blocks of a leaf as plain bytes, with the kind of each: the model of what a leaf must read as.
class LeafBytes {
 public:
  LeafBytes(std::size_t count, ExtentKind kind)
      : blocks_(count, ByteVector(kBlockBytes)), kinds_(count, kind) {}
  static LeafBytes data(std::uint64_t first_seed, std::size_t count) {
    LeafBytes leaf(count, ExtentKind::kData);
    for (std::size_t i = 0; i < count; ++i) leaf.blocks_[i] = block_of(first_seed + i);
    return leaf;
  }

  void set(std::size_t i, const ByteVector& bytes) {
    blocks_[i] = bytes;
    kinds_[i] = is_zero(bytes) ? ExtentKind::kZero : ExtentKind::kData;
  }
  void set_kind(std::size_t i, ExtentKind kind) {
    kinds_[i] = kind;
    if (kind != ExtentKind::kData) blocks_[i] = ByteVector(kBlockBytes);
  }

  std::size_t size() const { return blocks_.size(); }
  const std::vector<ByteVector>& blocks() const { return blocks_; }
  const std::vector<ExtentKind>& kinds() const { return kinds_; }
  std::vector<BlockMark> marks() const {
    std::vector<BlockMark> marks;
    for (std::size_t i = 0; i < size(); ++i) {
      marks.push_back(kinds_[i] == ExtentKind::kData         ? block_mark(blocks_[i])
                      : kinds_[i] == ExtentKind::kUnreadable ? unreadable_block_mark()
                                                             : zero_block_mark());
    }
    return marks;
  }
  // Returns the bytes of blocks [first, first + count), back to back.
  ByteVector bytes(std::size_t first, std::size_t count) const {
    ByteVector all;
    for (std::size_t i = first; i < first + count; ++i)
      all.insert(all.end(), blocks_[i].begin(), blocks_[i].end());
    return all;
  }

 private:
  std::vector<ByteVector> blocks_;
  std::vector<ExtentKind> kinds_;
};

class LeafRig {
 public:
  // The secret of the region hashes.
  static RegionSecret secret() {
    RegionSecret secret;
    Prng(77).fill(secret.span());
    return secret;
  }

  // Stores the data blocks of `bytes` in one segment, in order, and makes a leaf of them the parent's.
  void set_parent(const LeafBytes& bytes) {
    std::vector<BlockState> states(bytes.size());
    SealedSegment segment;
    segment.data = AlignedBuffer(bytes.size() * kBlockBytes);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      states[i].kind = bytes.kinds()[i];
      if (states[i].kind != ExtentKind::kData) continue;
      states[i].place.index = static_cast<std::uint16_t>(segment.blocks.size());
      std::memcpy(segment.data.data() + segment.blocks.size() * kBlockBytes, bytes.blocks()[i].data(),
                  kBlockBytes);
      segment.blocks.push_back(block_id(bytes.blocks()[i]));
    }
    segment.id = segment_id(segment.blocks);
    auto leaf = std::make_shared<Leaf>();
    for (const LeafDraft::Extent& extent : draft_extents(states))
      leaf->extents.push_back({extent.kind, extent.block_count, 0, extent.first.index});
    leaf->digest = leaf_digest(bytes.marks());
    leaf->region_mask = mask_of(bytes);
    leaf->regions = hashes_of(bytes);
    if (!segment.blocks.empty()) {
      leaf->segments.push_back(segment.id);
      store_.publish(segment);
      keep(segment);
    }
    parent_ = std::move(leaf);
  }
  // Makes the parent's leaf one of another store.
  void leave_out_region_hashes() { parent_ = std::make_shared<const Leaf>(without_region_hashes(*parent_)); }
  void set_constant_parent(ChildKind kind) {
    parent_.reset();
    constant_ = kind;
  }
  void set_no_parent() { parent_.reset(); }

  static std::uint64_t mask_of(const LeafBytes& leaf) {
    std::uint64_t mask = 0;
    for (std::size_t first = 0; first < leaf.size(); first += kRegionBlocks) {
      const std::size_t count = std::min<std::size_t>(kRegionBlocks, leaf.size() - first);
      const auto begin = leaf.kinds().begin() + static_cast<std::ptrdiff_t>(first);
      const bool bad =
          std::count(begin, begin + static_cast<std::ptrdiff_t>(count), ExtentKind::kUnreadable) > 0;
      if (!bad && !is_zero(leaf.bytes(first, count))) mask |= std::uint64_t{1} << (first / kRegionBlocks);
    }
    return mask;
  }
  static std::vector<RegionHash> hashes_of(const LeafBytes& leaf) {
    std::vector<RegionHash> hashes;
    for (std::size_t first = 0; first < leaf.size(); first += kRegionBlocks) {
      if ((mask_of(leaf) >> (first / kRegionBlocks) & 1U) == 0) continue;
      const std::size_t count = std::min<std::size_t>(kRegionBlocks, leaf.size() - first);
      hashes.push_back(region_hash(leaf.bytes(first, count), secret()));
    }
    return hashes;
  }

  LeafAssembly planned(const Origins& origins, const std::vector<PlannedRun>& runs) {
    auto leaf = std::make_shared<PlannedLeaf>();
    leaf->origins = origins;
    leaf->runs = runs;
    leaf->parent = parent_;
    leaf->parent_constant = constant_;
    planned_ = leaf;
    return LeafAssembly(leaf);
  }
  // Returns a run of the leaf `now`, hashed under the plan of planned().
  HashedRun hashed(const LeafBytes& now, const PlannedRun& run, bool trust_regions = true,
                   std::vector<BlockRange> unchanged = {}) const {
    const auto buffer = std::make_shared<ByteVector>(now.bytes(run.first_block, run.block_count));
    ashlar::Run read;
    read.ordinal = run.ordinal;
    read.offset = ByteOffset{run.first_block * kBlockBytes};
    read.bytes = *buffer;
    read.buffer = buffer;
    read.unchanged = std::move(unchanged);
    for (std::uint32_t i = run.first_block; i < run.first_block + run.block_count; ++i) {
      if (now.kinds()[i] == ExtentKind::kUnreadable) read.unreadable.push_back({Lba{i}, BlockCount{1}});
    }
    return hash_run(std::move(read), {planned_, run.first_block}, secret(), trust_regions);
  }
  LeafAssembly assemble(const Origins& origins, const LeafBytes& now, const std::vector<PlannedRun>& runs) {
    LeafAssembly assembly = planned(origins, runs);
    for (const PlannedRun& run : runs) assembly.take(hashed(now, run));
    return assembly;
  }

  // Finishes the leaf as the assembler does, and returns what it reads as.
  std::vector<ByteVector> read_leaf(LeafAssembly& assembly) {
    Admission admission(store_.index(), store_.segments(), store_.leaned(), [this](SealedSegment segment) {
      keep(segment);
      return Status();
    });
    if (!assembly.is_parents()) expect_ok(assembly.resolve(admission, store_.segments()));
    if (assembly.is_parents()) return read(*parent_);
    draft_ = expect_ok(assembly.draft(admission));
    expect_ok(admission.seal());
    leaf_ = finish_leaf(draft_, admission);
    EXPECT_EQ(expect_ok(decode_leaf(encode(leaf_))), leaf_) << "a leaf that no reader accepts";
    return read(leaf_);
  }
  const LeafDraft& last_draft() const { return draft_; }
  const Leaf& last_leaf() const { return leaf_; }
  const std::vector<ExtentKind>& last_kinds() const { return kinds_; }
  StoreRig& store() { return store_; }
  const std::shared_ptr<const Leaf>& parent() const { return parent_; }

 private:
  void keep(const SealedSegment& segment) {
    auto& blocks = stored_[segment.id];
    for (std::size_t i = 0; i < segment.blocks.size(); ++i) {
      const ByteSpan block = segment.data.span().subspan(i * kBlockBytes, kBlockBytes);
      blocks.emplace_back(block.begin(), block.end());
    }
  }
  std::vector<ByteVector> read(const Leaf& leaf) {
    std::vector<ByteVector> blocks;
    kinds_.clear();
    for (const LeafExtent& extent : leaf.extents) {
      for (std::size_t i = 0; i < extent.block_count; ++i) {
        kinds_.push_back(extent.kind);
        blocks.push_back(extent.kind == ExtentKind::kData
                             ? stored_.at(leaf.segments.at(extent.segment)).at(extent.first_block + i)
                             : ByteVector(kBlockBytes));
      }
    }
    return blocks;
  }

  StoreRig store_;
  std::shared_ptr<const Leaf> parent_;
  ChildKind constant_ = ChildKind::kUnallocated;
  std::shared_ptr<const PlannedLeaf> planned_;
  std::map<SegmentId, std::vector<ByteVector>> stored_;
  LeafDraft draft_;
  Leaf leaf_;
  std::vector<ExtentKind> kinds_;
};

}  // namespace ashlar
