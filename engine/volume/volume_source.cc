#include "volume/volume_source.h"

#include <algorithm>
#include <cstring>

#include "source/run_feed.h"

namespace ashlar {
namespace {

SourceState state_of(const HoldRun& run) {
  return run.hold == BlockHold::kZero ? SourceState::kUnallocated : SourceState::kData;
}

// Returns the first change that ends after `lba`.
auto change_at(const std::vector<HoldRun>& changes, Lba lba) {
  return std::partition_point(changes.begin(), changes.end(),
                              [&](const HoldRun& run) { return run.blocks.end() <= lba; });
}

class VolumeRunReader : public RunReader {
 public:
  VolumeRunReader(const SnapshotView& view, const BaseImage& base, Plan plan)
      : view_(view), base_(base), feed_(std::move(plan), view.size()) {}

  Result<std::optional<Run>> next() override {
    std::optional<RunTicket> ticket = TRY(feed_.take());
    if (!ticket) return std::optional<Run>();
    Result<Run> run = fill(std::move(*ticket));
    if (!run.ok()) return feed_.stop(run.take_error());
    return std::optional(run.take());
  }

 private:
  Result<Run> fill(RunTicket ticket) const {
    const BlockRange wanted{lba_of(ticket.request.offset), blocks_covering(ticket.request.bytes)};
    std::vector<BlockRange> unchanged;
    Lba at = wanted.first;
    for (auto change = change_at(view_.changes(), at); at < wanted.end();) {
      const bool inside = change != view_.changes().end() && change->blocks.first <= at;
      Lba end = wanted.end();
      if (change != view_.changes().end())
        end = std::min(end, inside ? change->blocks.end() : change->blocks.first);
      const BlockRange piece{at, end - at};
      std::byte* place = ticket.data + byte_count(at - wanted.first).value;
      const MutableByteSpan out(place, byte_count(piece.count).value);
      if (inside) {
        TRY(view_.read(piece.first, out));
      } else {
        TRY(take_unchanged(piece, out, unchanged));
      }
      at = end;
      if (inside) ++change;
    }
    const ByteCount bytes = ticket.request.bytes;
    Run run = finish_run(std::move(ticket), bytes, {});
    run.unchanged = std::move(unchanged);
    return run;
  }

  // Notes data of the base as unchanged instead of reading it. When the volume has grown, the parent's last
  // leaf covers fewer blocks than the new one, and nothing can be taken from it: there the base is read.
  Status take_unchanged(BlockRange piece, MutableByteSpan out, std::vector<BlockRange>& unchanged) const {
    const BlockCount parent_blocks = base_.root().blocks;
    const std::uint64_t leaf = piece.first.value / kLeafBlocks;
    const bool same_leaf =
        leaf < leaf_count(parent_blocks) &&
        leaf_blocks(parent_blocks, leaf) == leaf_blocks(blocks_covering(view_.size()), leaf);
    if (!same_leaf) return base_.read(piece, out);
    std::memset(out.data(), 0, out.size());
    Lba at = piece.first;
    for (const BaseRun& run : TRY(base_.runs(piece, piece.count.value))) {
      if (run.kind == ExtentKind::kData || run.kind == ExtentKind::kUnreadable)
        unchanged.push_back({at, run.count});
      at += run.count;
    }
    return {};
  }

  const SnapshotView& view_;
  const BaseImage& base_;
  RunFeed feed_;
};

}  // namespace

VolumeSource::VolumeSource(VolumeId volume, const SnapshotView& view, const BaseImage& base)
    : name_(volume.text()), view_(view), base_(base) {}

Result<SourceExtent> VolumeSource::next_extent(ByteOffset offset) {
  const Lba first = lba_of(offset);
  const Lba end{blocks_covering(view_.size()).value};
  const auto change = change_at(view_.changes(), first);
  const auto extent = [&](Lba stop, SourceState state) {
    const std::uint64_t to = std::min(byte_offset(stop).value, view_.size().value);
    return SourceExtent{offset, ByteCount{to - offset.value}, state};
  };
  if (change != view_.changes().end() && change->blocks.first <= first)
    return extent(change->blocks.end(), state_of(*change));
  const Lba stop = change != view_.changes().end() ? change->blocks.first : end;
  const auto runs = TRY(base_.runs({first, stop - first}, 1));
  const Lba run_end = first + runs.front().count;
  switch (runs.front().kind) {
    case ExtentKind::kData:
    case ExtentKind::kUnreadable:
      return extent(run_end, SourceState::kData);
    case ExtentKind::kZero:
      return extent(run_end, SourceState::kZero);
    case ExtentKind::kUnallocated:
      return extent(run_end, SourceState::kUnallocated);
  }
  return extent(run_end, SourceState::kData);
}

Result<std::optional<std::vector<SourceExtent>>> VolumeSource::changed_extents() {
  std::vector<SourceExtent> changed;
  for (const HoldRun& run : view_.changes()) {
    changed.push_back({byte_offset(run.blocks.first), byte_count(run.blocks.count), state_of(run)});
  }
  return std::optional(std::move(changed));
}

Result<std::unique_ptr<RunReader>> VolumeSource::read(RunReader::Plan plan) {
  return std::unique_ptr<RunReader>(std::make_unique<VolumeRunReader>(view_, base_, std::move(plan)));
}

}  // namespace ashlar
