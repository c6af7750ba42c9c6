#include "restore/restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <span>

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
  std::vector<BlockRange> lost;         // UNREADABLE: to be left out
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
    if (leaves > 0) TRY(check_root(root_));  // a root that does not fit its record is not skipped
    std::vector<LeafSpan> window;
    for (std::uint64_t leaf = 0; leaf < leaves;) {
      const auto found = cursor.at(leaf);
      const LeafSpan span = found.ok() ? found.value() : cursor.unread(leaf);
      leaf += span.count;
      if (!found.ok()) {
        TRY(leave_out(blocks_of(span), found.error()));
        progress_.done_bytes += bytes_of(blocks_of(span)).value;
      } else if (span.ref.is_node()) {
        window.push_back(span);
      } else {
        TRY(restore_constant(span));
      }
      if (window.size() == kWindowLeaves) TRY(restore_window(std::exchange(window, {})));
    }
    TRY(restore_window(std::move(window)));
    report_.left_out = join_adjacent(std::move(left_out_));
    if (!report_.left_out.empty()) TRY(end_with_losses());
    TRY(target_.finish());
    return report_;
  }

 private:
  BlockRange blocks_of(const LeafSpan& span) const {
    const Lba first{span.first * kLeafBlocks};
    return {first, Lba{std::min(root_.blocks.value, (span.first + span.count) * kLeafBlocks)} - first};
  }

  bool may_skip(const Error& error) const { return options_.skip_damaged && loss_cause(error).has_value(); }

  // Decides about blocks whose bytes the store failed to give with `error`: leaves them out, or returns the
  // error. Any thread.
  Status leave_out(BlockRange range, const Error& error) {
    if (may_skip(error)) return leave_out(range, *loss_cause(error));
    return final_error(error);
  }

  // Returns an error of the store as the restore's own.
  Error final_error(const Error& error) const {
    return loss_cause(error) ? error.about(ErrorKind::kSnapshotHasLosses, snapshot_.id.text()) : error;
  }

  Status leave_out(BlockRange range, LossCause cause) {
    {
      const std::lock_guard lock(left_out_mutex_);
      left_out_.push_back({range, cause});
    }
    // A partial file of an earlier run may hold another snapshot's data there.
    return target_.is_resumed() ? zero(range) : Status();
  }

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
    const BlockRange blocks = blocks_of(span);
    LeafWork work;
    auto& ranges = span.ref.kind == ChildKind::kZero ? work.zeros : work.unallocated;
    const bool discarding = options_.discard && span.ref.kind == ChildKind::kUnallocated;
    if (options_.delta && !discarding) {
      TRY(find_nonzero(blocks, [&](Lba lba) { add_block(ranges, lba); }));
    } else {
      ranges.push_back(blocks);
    }
    TRY(empty_ranges(work));
    progress_.done_bytes += bytes_of(blocks).value;
    return {};
  }

  Status empty_ranges(const LeafWork& work) {
    for (const BlockRange& range : work.zeros) TRY(zero(range));
    for (const BlockRange& range : work.lost) TRY(leave_out(range, LossCause::kSource));
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

  // With skip_damaged, asks whether the losses are real. Else makes the rest durable and returns the error
  // that names the lost ranges; a new file keeps its partial name, because its own name would promise the
  // whole volume.
  Status end_with_losses() {
    if (options_.skip_damaged) return options_.check_losses ? options_.check_losses() : Status();
    TRY(target_.sync());
    const std::vector<LeftOut>& lost = report_.left_out;
    std::string named;
    for (std::size_t i = 0; i < std::min(lost.size(), kNamedRanges); ++i) {
      const std::uint64_t first = byte_offset(lost[i].range.first).value;
      named +=
          fmt::format("{}{} to {}", i == 0 ? "" : ", ", first, first + bytes_of(lost[i].range).value - 1);
    }
    if (lost.size() > kNamedRanges) {
      const std::size_t more = lost.size() - kNamedRanges;
      named += fmt::format(" and {} more range{}", more, more == 1 ? "" : "s");
    }
    const std::string name = target_.written_name();
    return corrupt(
               fmt::format(
                   "bytes {} could not be read when the snapshot was taken: they are lost. Everything else "
                   "is written; {}",
                   named,
                   name == target_.name() ? fmt::format("{} keeps its former data there", name)
                                          : fmt::format("the file is left as {}, with holes there", name)))
        .about(ErrorKind::kSnapshotHasLosses, snapshot_.id.text());
  }

  Status restore_window(std::vector<LeafSpan> window) {
    std::vector<LeafWork> works(window.size());
    TRY(parallel_for(window.size(), threads_, stop_, [&](std::size_t i) -> Status {
      const std::uint64_t number = window[i].first;
      const auto leaf = load_leaf(parts_.nodes, window[i].ref, leaf_blocks(root_.blocks, number));
      if (!leaf.ok()) return leave_out(blocks_of(window[i]), leaf.error());
      works[i] = options_.delta ? TRY(delta_work(*leaf.value(), number)) : full_work(*leaf.value(), number);
      return empty_ranges(works[i]);
    }));
    std::vector<RestorePiece> pieces;
    for (LeafWork& work : works) {
      pieces.insert(pieces.end(), work.pieces.begin(), work.pieces.end());
      report_.data_bytes += byte_count(BlockCount{work.data_blocks});
      report_.same_bytes += byte_count(BlockCount{work.same_blocks});
    }
    const auto lose = [this](const RestorePiece& piece, const Error& error) {
      return lose_piece(piece, error);
    };
    const auto jobs = TRY(plan_restore(parts_.segments, std::move(pieces), lose));
    TRY(parallel_for(jobs.size(), threads_, stop_, [&](std::size_t i) { return run_job(jobs[i]); }));
    for (const LeafSpan& span : window) {
      progress_.done_bytes += bytes_of(blocks_of(span)).value;
    }
    report_.written_bytes = ByteCount{progress_.written_bytes};
    report_.zeroed_bytes = ByteCount{zeroed_};
    report_.discarded_bytes = ByteCount{discarded_};
    report_.segment_reads += jobs.size();
    return {};
  }

  // Returns the work that writes every block of the leaf.
  LeafWork full_work(const Leaf& leaf, std::uint64_t leaf_number) {
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

  // Returns the work that writes only the blocks of the leaf that the target does not hold yet; full_work()
  // when the ids of some can't be had and are skipped.
  Result<LeafWork> delta_work(const Leaf& leaf, std::uint64_t leaf_number) {
    const Lba first{leaf_number * kLeafBlocks};
    AlignedBuffer buffer(leaf.block_count() * kBlockBytes);
    TRY(read_target(first, buffer.span()));
    const auto read_marks = marks_.block_marks(leaf);
    if (!read_marks.ok() && may_skip(read_marks.error())) return full_work(leaf, leaf_number);
    if (!read_marks.ok()) return final_error(read_marks.error());
    const std::vector<BlockMark>& marks = read_marks.value();
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

  Status lose_piece(const RestorePiece& piece, const Error& error) {
    return leave_out({piece.lba, BlockCount{piece.count}}, error);
  }

  // Reads the frames that a segment contributes to the window and writes their blocks to their places.
  Status run_job(const SegmentJob& job) {
    const auto segment = parts_.segments.locate(job.pieces.front().segment);
    std::vector<RestorePiece> pieces;
    for (const RestorePiece& piece : job.pieces) {
      if (!segment.ok()) {
        TRY(lose_piece(piece, segment.error()));
      } else if (piece.first + piece.count > static_cast<int>(segment.value()->directory.blocks.size())) {
        TRY(lose_piece(piece, corrupt("an extent runs past its segment")));
      } else {
        pieces.push_back(piece);
      }
    }
    if (pieces.empty()) return {};
    for (const ReadRun& run : coalesce(*segment.value(), pieces)) {
      const auto first = pieces.begin() + static_cast<std::ptrdiff_t>(run.first_piece);
      const std::span<const RestorePiece> wanted(first, run.piece_count);
      TRY(transfer(*segment.value(), wanted,
                   blocks_of_frames(*segment.value(), run.first_frame, run.last_frame)));
    }
    return {};
  }

  // Consecutive blocks of a segment, by number.
  struct SegmentRun {
    std::size_t first = 0;
    std::size_t count = 0;
  };
  static SegmentRun blocks_of_frames(const LocatedSegment& segment, std::size_t first, std::size_t last) {
    const std::size_t begin = segment.frame_first_block[first];
    return {begin, segment.frame_first_block[last] + segment.directory.frames[last].block_count - begin};
  }

  // Reads a run of blocks and writes those that `pieces` want. What can't be read is narrowed down to frames,
  // and where the segment has several places, whose frames may differ, to blocks; the rest of it is left out.
  Status transfer(const LocatedSegment& segment, std::span<const RestorePiece> pieces, SegmentRun run) {
    const auto buffer = std::make_shared<AlignedBuffer>(run.count * kBlockBytes);
    const Status read = parts_.segments.read(segment, run.first, run.count, buffer->span());
    const auto part = [&](const RestorePiece& piece) -> Status {
      const std::size_t from = std::max<std::size_t>(piece.first, run.first);
      const std::size_t end = std::min<std::size_t>(piece.first + piece.count, run.first + run.count);
      if (from >= end) return {};
      const BlockRange range{piece.lba + BlockCount{from - piece.first}, BlockCount{end - from}};
      if (!read.ok()) return leave_out(range, read.error());
      const ByteCount bytes = bytes_of(range);
      TRY(target_.write(byte_offset(range.first),
                        buffer->span().subspan((from - run.first) * kBlockBytes, bytes.value), buffer));
      progress_.written_bytes += bytes.value;
      return {};
    };
    if (!read.ok() && may_skip(read.error())) {
      const std::vector<SegmentRun> smaller = divide(segment, run);
      for (const SegmentRun& next : smaller) TRY(transfer(segment, pieces, next));
      if (!smaller.empty()) return {};
    }
    for (const RestorePiece& piece : pieces) TRY(part(piece));
    return {};
  }

  // Returns the parts of a run that are to be read alone; none when it can't be narrowed down.
  std::vector<SegmentRun> divide(const LocatedSegment& segment, SegmentRun run) const {
    std::vector<SegmentRun> parts;
    const std::size_t first = segment.frame_of(run.first);
    const std::size_t last = segment.frame_of(run.first + run.count - 1);
    if (first != last) {
      for (std::size_t i = first; i <= last; ++i) parts.push_back(blocks_of_frames(segment, i, i));
    } else if (run.count > 1) {
      const auto places = parts_.segments.locate_all(segment.directory.id);
      if (!places.ok() || places.value().size() == 1) return parts;
      for (std::size_t i = 0; i < run.count; ++i) parts.push_back({run.first + i, 1});
    }
    return parts;
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
  std::mutex left_out_mutex_;
  std::vector<LeftOut> left_out_;  // in no order; guarded by left_out_mutex_
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
