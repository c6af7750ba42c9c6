#include "restore/restore.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/parallel.h"
#include "codec/hash.h"
#include "manifest/store_block_marks.h"
#include "manifest/subtree.h"
#include "restore/plan.h"

namespace ashlar {
namespace {

constexpr std::size_t kWindowLeaves = 512;              // 2 GiB of the volume
constexpr std::uint64_t kZeroStepBytes = 256ULL << 20;  // between two checks of the stop token
constexpr std::size_t kNamedRanges = 8;                 // lost ranges listed in a message

// The changes that one leaf needs on the target.
struct LeafWork {
  std::vector<RestorePiece> pieces;
  std::vector<BlockRange> zeros;        // to be zeroed
  std::vector<BlockRange> unallocated;  // to be zeroed, or discarded
  std::vector<BlockRange> lost;         // UNREADABLE: to be left as they are
  std::uint64_t same_blocks = 0;
  std::uint64_t data_blocks = 0;
};

void add_range(std::vector<BlockRange>& ranges, BlockRange range) {
  if (!ranges.empty() && ranges.back().end() == range.first) {
    ranges.back().count += range.count;
  } else {
    ranges.push_back(range);
  }
}

void add_block(std::vector<BlockRange>& ranges, Lba lba) { add_range(ranges, {lba, BlockCount{1}}); }

void add_piece(std::vector<RestorePiece>& pieces, const SegmentId& segment, std::uint16_t first, Lba lba) {
  if (!pieces.empty()) {
    RestorePiece& last = pieces.back();
    if (last.segment == segment && last.first + last.count == first &&
        last.lba + BlockCount{last.count} == lba) {
      ++last.count;
      return;
    }
  }
  pieces.push_back({segment, first, 1, lba});
}

class Restorer {
 public:
  Restorer(const ReadParts& parts, const SnapshotRecord& snapshot, Target& target,
           const RestoreOptions& options, RestoreProgress& progress, const std::stop_token& stop)
      : parts_(parts),
        snapshot_(snapshot),
        root_(tree_root(snapshot)),
        target_(target),
        options_(options),
        progress_(progress),
        stop_(stop),
        marks_(parts.segments),
        threads_(options.threads != 0 ? options.threads : 2 * processor_count()) {}

  Result<RestoreReport> run() {
    progress_.total_bytes = snapshot_.size.value;
    LeafCursor cursor(parts_.nodes, root_);
    const std::uint64_t leaves = leaf_count(root_.blocks);
    std::vector<LeafSpan> window;
    for (std::uint64_t leaf = 0; leaf < leaves;) {
      const LeafSpan span = TRY(cursor.at(leaf));
      leaf += span.count;
      if (span.ref.is_node()) {
        window.push_back(span);
      } else {
        TRY(restore_constant(span));
      }
      if (window.size() == kWindowLeaves) TRY(restore_window(std::exchange(window, {})));
    }
    TRY(restore_window(std::move(window)));
    if (!lost_.empty()) return end_with_losses();
    TRY(target_.finish());
    return report_;
  }

 private:
  ByteCount bytes_of(BlockRange range) const {
    const std::uint64_t first = byte_offset(range.first).value;
    return ByteCount{std::min(snapshot_.size.value, byte_offset(range.end()).value) - first};
  }

  // Reads `range` of the target and calls `differs` with each block that is not zero.
  template <class Differs>
  Status find_nonzero(BlockRange range, const Differs& differs) {
    AlignedBuffer buffer(kLeafBytes);
    for (Lba lba = range.first; lba < range.end();) {
      if (stop_.stop_requested()) return cancelled();
      const Lba data = lba_of(TRY(target_.next_data(byte_offset(lba))));
      if (data > lba) {  // a hole of the target: zeros without reading
        lba = std::min(data, range.end());
        continue;
      }
      const BlockCount count{std::min<std::uint64_t>(kLeafBlocks, (range.end() - lba).value)};
      const MutableByteSpan bytes = buffer.span().first(byte_count(count).value);
      TRY(read_target(lba, bytes));
      for (std::uint64_t i = 0; i < count.value; ++i) {
        if (!is_zero(bytes.subspan(i * kBlockBytes, kBlockBytes))) differs(lba + BlockCount{i});
      }
      lba += count;
    }
    return {};
  }

  // Fills `bytes` from the target; bytes past the snapshot's end count as zeros.
  Status read_target(Lba lba, MutableByteSpan bytes) {
    const ByteOffset offset = byte_offset(lba);
    const std::size_t wanted = std::min<std::uint64_t>(bytes.size(), snapshot_.size.value - offset.value);
    const std::size_t got = TRY(target_.read(offset, bytes.first(wanted)));
    if (got != wanted)
      return Error(ErrorCode::kIo, fmt::format("{}: ended at {}", target_.name(), offset.value + got));
    std::memset(bytes.data() + wanted, 0, bytes.size() - wanted);
    return {};
  }

  Status restore_constant(const LeafSpan& span) {
    const Lba first{span.first * kLeafBlocks};
    const Lba end{std::min(root_.blocks.value, (span.first + span.count) * kLeafBlocks)};
    LeafWork work;
    auto& ranges = span.ref.kind == ChildKind::kZero ? work.zeros : work.unallocated;
    const bool discarding = options_.discard && span.ref.kind == ChildKind::kUnallocated;
    if (options_.delta && !discarding) {
      TRY(find_nonzero({first, end - first}, [&](Lba lba) { add_block(ranges, lba); }));
    } else {
      ranges.push_back({first, end - first});
    }
    TRY(empty_ranges(work));
    progress_.done_bytes += bytes_of({first, end - first}).value;
    return {};
  }

  Status empty_ranges(const LeafWork& work) {
    for (const BlockRange& range : work.zeros) TRY(zero(range));
    // A partial file of an earlier run may hold another snapshot's data there.
    if (target_.is_resumed()) {
      for (const BlockRange& range : work.lost) TRY(zero(range));
    }
    for (const BlockRange& range : work.unallocated) TRY(options_.discard ? discard(range) : zero(range));
    return {};
  }

  Status zero(BlockRange range) {
    if (target_.is_blank()) return {};
    const std::uint64_t end = byte_offset(range.first).value + bytes_of(range).value;
    for (std::uint64_t at = byte_offset(range.first).value; at < end; at += kZeroStepBytes) {
      if (stop_.stop_requested()) return cancelled();
      TRY(target_.write_zeroes(ByteOffset{at}, ByteCount{std::min(kZeroStepBytes, end - at)}));
    }
    zeroed_ += bytes_of(range).value;
    return {};
  }

  Status discard(BlockRange range) {
    if (target_.is_blank()) return {};
    auto done = target_.discard(byte_offset(range.first), bytes_of(range));
    if (is(done, ErrorCode::kUnsupported)) return zero(range);
    if (done.ok()) discarded_ += bytes_of(range).value;
    return done;
  }

  // Makes the rest durable and returns the error that names the lost ranges. A new file keeps its partial
  // name, because its own name would promise the whole volume.
  Error end_with_losses() {
    if (Status synced = target_.sync(); !synced.ok()) return synced.take_error();
    std::string named;
    for (std::size_t i = 0; i < std::min(lost_.size(), kNamedRanges); ++i) {
      const std::uint64_t first = byte_offset(lost_[i].first).value;
      named += fmt::format("{}{} to {}", i == 0 ? "" : ", ", first, first + bytes_of(lost_[i]).value - 1);
    }
    if (lost_.size() > kNamedRanges) {
      const std::size_t more = lost_.size() - kNamedRanges;
      named += fmt::format(" and {} more range{}", more, more == 1 ? "" : "s");
    }
    const std::string name = target_.written_name();
    return corrupt(
        fmt::format("bytes {} could not be read when the snapshot was taken: they are lost. Everything else "
                    "is written; {}",
                    named,
                    name == target_.name() ? fmt::format("{} keeps its former data there", name)
                                           : fmt::format("the file is left as {}, with holes there", name)));
  }

  Status restore_window(std::vector<LeafSpan> window) {
    std::vector<LeafWork> works(window.size());
    TRY(parallel_for(window.size(), threads_, stop_, [&](std::size_t i) -> Status {
      const std::uint64_t number = window[i].first;
      const auto leaf = TRY(load_leaf(parts_.nodes, window[i].ref, leaf_blocks(root_.blocks, number)));
      works[i] = TRY(options_.delta ? delta_work(*leaf, number) : full_work(*leaf, number));
      return empty_ranges(works[i]);
    }));
    std::vector<RestorePiece> pieces;
    for (LeafWork& work : works) {
      for (const BlockRange& range : work.lost) add_range(lost_, range);
      pieces.insert(pieces.end(), work.pieces.begin(), work.pieces.end());
      report_.data_bytes += byte_count(BlockCount{work.data_blocks});
      report_.same_bytes += byte_count(BlockCount{work.same_blocks});
    }
    const auto jobs = TRY(plan_restore(parts_.segments, std::move(pieces)));
    TRY(parallel_for(jobs.size(), threads_, stop_, [&](std::size_t i) { return run_job(jobs[i]); }));
    for (const LeafSpan& span : window) {
      progress_.done_bytes +=
          bytes_of({Lba{span.first * kLeafBlocks}, leaf_blocks(root_.blocks, span.first)}).value;
    }
    report_.written_bytes = ByteCount{progress_.written_bytes};
    report_.zeroed_bytes = ByteCount{zeroed_};
    report_.discarded_bytes = ByteCount{discarded_};
    report_.segment_reads += jobs.size();
    return {};
  }

  // Returns the work that writes every block of the leaf.
  Result<LeafWork> full_work(const Leaf& leaf, std::uint64_t leaf_number) {
    LeafWork work;
    Lba lba{leaf_number * kLeafBlocks};
    for (const LeafExtent& extent : leaf.extents) {
      const BlockRange range{lba, BlockCount{extent.block_count}};
      switch (extent.kind) {
        case ExtentKind::kData:
          work.pieces.push_back({leaf.segments[extent.segment], extent.first_block, extent.block_count, lba});
          work.data_blocks += extent.block_count;
          break;
        case ExtentKind::kZero:
          work.zeros.push_back(range);
          break;
        case ExtentKind::kUnallocated:
          work.unallocated.push_back(range);
          break;
        case ExtentKind::kUnreadable:
          work.lost.push_back(range);
          break;
      }
      lba = range.end();
    }
    return work;
  }

  // Returns the work that writes only the blocks of the leaf that the target does not hold yet.
  Result<LeafWork> delta_work(const Leaf& leaf, std::uint64_t leaf_number) {
    const Lba first{leaf_number * kLeafBlocks};
    AlignedBuffer buffer(leaf.block_count() * kBlockBytes);
    TRY(read_target(first, buffer.span()));
    const std::vector<BlockMark> marks = TRY(marks_.block_marks(leaf));
    LeafWork work;
    Lba lba = first;
    for (const LeafExtent& extent : leaf.extents) {
      const BlockRange range{lba, BlockCount{extent.block_count}};
      const bool discarding = extent.kind == ExtentKind::kUnallocated && options_.discard;
      if (extent.kind == ExtentKind::kUnreadable || discarding) {
        (discarding ? work.unallocated : work.lost).push_back(range);
        lba = range.end();
        continue;
      }
      for (std::uint16_t i = 0; i < extent.block_count; ++i, lba += BlockCount{1}) {
        const std::uint64_t at = (lba - first).value;
        const ByteSpan held = buffer.span().subspan(at * kBlockBytes, kBlockBytes);
        if (extent.kind != ExtentKind::kData) {
          if (!is_zero(held)) add_block(work.zeros, lba);
          continue;
        }
        ++work.data_blocks;
        if (block_mark(held) == marks[at]) {
          ++work.same_blocks;
        } else {
          add_piece(work.pieces, leaf.segments[extent.segment],
                    static_cast<std::uint16_t>(extent.first_block + i), lba);
        }
      }
    }
    return work;
  }

  // Reads the frames that a segment contributes to the window and writes their blocks to their places.
  Status run_job(const SegmentJob& job) {
    const auto segment = TRY(parts_.segments.locate(job.pieces.front().segment));
    const std::size_t blocks = segment->directory.blocks.size();
    for (const RestorePiece& piece : job.pieces) {
      if (piece.first + piece.count > static_cast<int>(blocks))
        return corrupt("an extent runs past its segment");
    }
    for (const ReadRun& run : coalesce(*segment, job.pieces)) {
      const std::size_t first = segment->frame_first_block[run.first_frame];
      const std::size_t count = segment->frame_first_block[run.last_frame] +
                                segment->directory.frames[run.last_frame].block_count - first;
      const auto buffer = std::make_shared<AlignedBuffer>(count * kBlockBytes);
      TRY(parts_.segments.read(*segment, first, count, buffer->span()));
      for (std::size_t i = run.first_piece; i < run.first_piece + run.piece_count; ++i) {
        const RestorePiece& piece = job.pieces[i];
        const ByteCount bytes = bytes_of({piece.lba, BlockCount{piece.count}});
        TRY(target_.write(byte_offset(piece.lba),
                          buffer->span().subspan((piece.first - first) * kBlockBytes, bytes.value), buffer));
        progress_.written_bytes += bytes.value;
      }
    }
    return {};
  }

  const ReadParts& parts_;
  const SnapshotRecord& snapshot_;
  const TreeRoot root_;
  Target& target_;
  const RestoreOptions& options_;
  RestoreProgress& progress_;
  const std::stop_token& stop_;
  StoreBlockMarks marks_;
  unsigned threads_;
  RestoreReport report_;
  std::vector<BlockRange> lost_;
  std::atomic<std::uint64_t> zeroed_{0};
  std::atomic<std::uint64_t> discarded_{0};
};

}  // namespace

Result<RestoreReport> restore(const ReadParts& parts, const SnapshotRecord& snapshot, Target& target,
                              const RestoreOptions& options, RestoreProgress& progress,
                              const std::stop_token& stop) {
  return Restorer(parts, snapshot, target, options, progress, stop).run();
}

}  // namespace ashlar
