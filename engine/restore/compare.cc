// compare(): compares the block ids of the target with those of the snapshot. It reads only the directories
// of segments, no block data from packs.

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/parallel.h"
#include "codec/hash.h"
#include "manifest/store_block_marks.h"
#include "manifest/subtree.h"
#include "restore/restore.h"

namespace ashlar {
namespace {

constexpr std::size_t kBatchLeaves = 256;

// A leaf, or a part of a constant span that is as long as a leaf.
struct Piece {
  std::uint64_t leaf = 0;
  NodeRef ref;
};

class Comparison {
 public:
  Comparison(const ReadParts& parts, const SnapshotRecord& snapshot, const Target& target,
             RestoreProgress& progress, const std::stop_token& stop, const std::vector<LeftOut>& left_out)
      : parts_(parts),
        snapshot_(snapshot),
        root_(tree_root(snapshot)),
        target_(target),
        progress_(progress),
        stop_(stop),
        left_out_(left_out) {}

  Result<std::vector<BlockRange>> run() {
    if (target_.size() < snapshot_.size) {
      return invalid(
          fmt::format("{} has {} bytes and the snapshot has {}: it can't be a restore of the snapshot",
                      target_.name(), target_.size().value, snapshot_.size.value));
    }
    progress_.total_bytes = snapshot_.size.value;
    LeafCursor cursor(parts_.nodes, root_);
    std::vector<Piece> batch;
    const std::uint64_t leaves = leaf_count(root_.blocks);
    for (std::uint64_t leaf = 0; leaf < leaves;) {
      if (left_out_.cover({Lba{leaf * kLeafBlocks}, leaf_blocks(root_.blocks, leaf)})) {
        progress_.done_bytes += leaf_bytes(leaf++);
        continue;
      }
      const LeafSpan span = TRY(cursor.at(leaf));
      if (!span.ref.is_node()) {
        // Holes of the target equal zeros of the snapshot without reading them.
        const ByteOffset data = TRY(target_.next_data(ByteOffset{leaf * kLeafBytes}));
        const std::uint64_t end = leaf + span.count;
        const std::uint64_t next = std::min(data.value / kLeafBytes, end);
        for (; leaf < next; ++leaf) progress_.done_bytes += leaf_bytes(leaf);
        if (leaf == end) continue;
      }
      batch.push_back({leaf++, span.ref});
      if (batch.size() == kBatchLeaves) TRY(compare_batch(std::exchange(batch, {})));
    }
    TRY(compare_batch(std::move(batch)));
    return std::move(different_);
  }

 private:
  Status compare_batch(std::vector<Piece> batch) {
    std::vector<std::vector<Lba>> different(batch.size());
    TRY(parallel_for(batch.size(), processor_count(), stop_, [&](std::size_t i) -> Status {
      different[i] = TRY(compare_leaf(batch[i]));
      progress_.done_bytes += leaf_bytes(batch[i].leaf);
      return {};
    }));
    for (const auto& leaf : different) {
      for (const Lba lba : leaf) {
        if (!different_.empty() && different_.back().end() == lba) {
          different_.back().count += BlockCount{1};
        } else {
          different_.push_back({lba, BlockCount{1}});
        }
      }
    }
    return {};
  }

  std::uint64_t leaf_bytes(std::uint64_t leaf) const {
    return std::min(snapshot_.size.value, (leaf + 1) * kLeafBytes) - leaf * kLeafBytes;
  }

  Result<std::vector<Lba>> compare_leaf(const Piece& piece) {
    const std::uint64_t blocks = leaf_blocks(root_.blocks, piece.leaf).value;
    AlignedBuffer buffer(blocks * kBlockBytes);
    const std::uint64_t bytes = leaf_bytes(piece.leaf);
    const Lba first{piece.leaf * kLeafBlocks};
    const std::size_t got = TRY(target_.read(byte_offset(first), buffer.span().first(bytes)));
    if (got != bytes) return Error(ErrorCode::kIo, fmt::format("{}: ended early", target_.name()));
    std::memset(buffer.data() + bytes, 0, buffer.size() - bytes);

    std::vector<BlockMark> wanted(blocks, zero_block_mark());
    if (piece.ref.is_node()) {
      wanted = TRY(block_marks(*TRY(load_leaf(parts_.nodes, piece.ref, BlockCount{blocks})), first));
    }
    std::vector<Lba> different;
    for (std::uint64_t i = 0; i < blocks; ++i) {
      const ByteSpan block = buffer.span().subspan(i * kBlockBytes, kBlockBytes);
      const bool same = wanted[i] == zero_block_mark() ? is_zero(block) : block_mark(block) == wanted[i];
      if (!same && !left_out_.cover({first + BlockCount{i}, BlockCount{1}}))
        different.push_back(first + BlockCount{i});
    }
    return different;
  }

  // Returns the marks of the leaf's blocks; any mark for blocks that were left out, whose segment may be
  // lost.
  Result<std::vector<BlockMark>> block_marks(const Leaf& leaf, Lba first) {
    std::set<SegmentId> needed;
    Lba lba = first;
    for (const LeafExtent& extent : leaf.extents) {
      const BlockRange range{lba, BlockCount{extent.block_count}};
      if (extent.kind == ExtentKind::kData && !left_out_.cover(range))
        needed.insert(leaf.segments[extent.segment]);
      lba = range.end();
    }
    using Ids = std::shared_ptr<const std::vector<BlockId>>;
    return block_marks_of(leaf, [&](const SegmentId& id) -> Result<Ids> {
      if (!needed.contains(id)) return std::make_shared<const std::vector<BlockId>>(kSegmentBlocks);
      const auto segment = TRY(parts_.segments.locate(id));
      return Ids(segment, &segment->directory.blocks);
    });
  }

  const ReadParts& parts_;
  const SnapshotRecord& snapshot_;
  const TreeRoot root_;
  const Target& target_;
  RestoreProgress& progress_;
  const std::stop_token& stop_;
  const LeftOutBlocks left_out_;
  std::vector<BlockRange> different_;
};

}  // namespace

Result<std::vector<BlockRange>> compare(const ReadParts& parts, const SnapshotRecord& snapshot,
                                        const Target& target, RestoreProgress& progress,
                                        const std::stop_token& stop, const std::vector<LeftOut>& left_out) {
  return Comparison(parts, snapshot, target, progress, stop, left_out).run();
}

}  // namespace ashlar
