#include "volume/volume.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kStepBlocks = kLeafBlocks;  // step of a long fetch: bounds its buffer

// Returns whether the overlay holds the whole range. Checks chunk by chunk: in a long range usually the first
// chunk has an absent block, so the rest need no look.
bool all_held(const Overlay& overlay, BlockRange range) {
  const auto is_absent = [](const HoldRun& run) { return run.hold == BlockHold::kAbsent; };
  for (Lba at = range.first; at < range.end();) {
    const BlockRange step{at, BlockCount{std::min(kChunkBlocks, (range.end() - at).value)}};
    if (std::ranges::any_of(overlay.states(step), is_absent)) return false;
    at = step.end();
  }
  return true;
}

}  // namespace

Volume::Volume(std::unique_ptr<Overlay> overlay, std::shared_ptr<const BaseImage> base, FetchGate& gate)
    : overlay_(std::move(overlay)), base_(std::move(base)), gate_(gate) {}
Volume::~Volume() = default;

std::shared_ptr<const BaseImage> Volume::base() const {
  const std::lock_guard lock(base_mutex_);
  return base_;
}

void Volume::set_base(std::shared_ptr<const BaseImage> base) {
  const std::lock_guard lock(base_mutex_);
  base_ = std::move(base);
}

bool Volume::held(ByteOffset offset, ByteCount bytes) const {
  return bytes.value == 0 || all_held(*overlay_, blocks_of(offset, bytes));
}

bool Volume::edges_held(ByteOffset offset, ByteCount bytes) const {
  const std::uint64_t end = offset.value + bytes.value;
  const auto whole_or_held = [&](std::uint64_t at) {
    return at % kBlockBytes == 0 || at == size().value ||
           all_held(*overlay_, {lba_of(ByteOffset{at}), BlockCount{1}});
  };
  return whole_or_held(offset.value) && whole_or_held(end);
}

Status Volume::read(ByteOffset offset, MutableByteSpan out) {
  ++counters_.reads;
  bool missed = false;
  const std::uint64_t end = offset.value + out.size();
  for (const HoldRun& run : overlay_->states(blocks_of(offset, ByteCount{out.size()}))) {
    const std::uint64_t from = std::max(offset.value, byte_offset(run.blocks.first).value);
    const std::uint64_t to = std::min(end, byte_offset(run.blocks.end()).value);
    const MutableByteSpan part = out.subspan(from - offset.value, to - from);
    // Blocks that the guest wrote do not belong to the snapshot, so they are not noted.
    if (run.hold == BlockHold::kAbsent || run.hold == BlockHold::kClean) note_first_read(run.blocks);
    if (run.hold == BlockHold::kAbsent) {
      missed = true;
      TRY(read_absent(run.blocks, ByteOffset{from}, part));
    } else {
      TRY(overlay_->read(ByteOffset{from}, part));
    }
  }
  if (missed) ++counters_.missed_reads;
  return {};
}

void Volume::note_first_read(BlockRange blocks) {
  if (!first_reads_.has_ended()) first_reads_.note(blocks, monotonic_seconds());
}

BlockRange Volume::region_around(BlockRange range) const {
  const std::uint64_t first = range.first.value / kFetchBlocks * kFetchBlocks;
  const std::uint64_t end = (range.end().value + kFetchBlocks - 1) / kFetchBlocks * kFetchBlocks;
  return {Lba{first}, BlockCount{std::min(end, blocks_covering(size()).value) - first}};
}

// Reads the region around the absent blocks, and on failure the absent blocks alone: the neighbours are a
// bonus, and may be the only ones that can't be read.
Status Volume::read_absent(BlockRange absent, ByteOffset offset, MutableByteSpan out) {
  const auto waiting = gate_.demand();
  const double began = monotonic_seconds();
  const BlockRange region = region_around(absent);
  expected_reads_.wait_for(region);
  Status done = read_through(region, offset, out);
  if (!done.ok() && region != absent) done = read_through(absent, offset, out);
  counters_.stalled_ns += static_cast<std::uint64_t>((monotonic_seconds() - began) * 1e9);
  return done;
}

// Reads from the base. Without a base, absent blocks exist only where the volume has grown, and are zeros.
Status Volume::read_base(BlockRange range, MutableByteSpan out) const {
  if (const auto base = this->base()) return base->read(range, out);
  std::memset(out.data(), 0, out.size());
  return {};
}

Status Volume::read_through(BlockRange region, ByteOffset offset, MutableByteSpan out) {
  const std::uint64_t end = offset.value + out.size();
  AlignedBuffer buffer(std::min(region.count.value, kStepBlocks) * kBlockBytes);
  for (Lba at = region.first; at < region.end();) {
    const BlockRange step{at, BlockCount{std::min(kStepBlocks, (region.end() - at).value)}};
    const MutableByteSpan bytes = buffer.span().first(byte_count(step.count).value);
    TRY(read_base(step, bytes));
    counters_.fetched_bytes += bytes.size();
    const std::uint64_t from = std::max(offset.value, byte_offset(step.first).value);
    const std::uint64_t to = std::min(end, byte_offset(step.end()).value);
    if (from < to) {
      std::memcpy(out.data() + (from - offset.value), bytes.data() + (from - byte_offset(step.first).value),
                  to - from);
    }
    // The bytes were read; that they can't be kept (the disk is full or failed) is not an error of the read.
    best_effort(keep(step, bytes));
    at = step.end();
  }
  return {};
}

// Puts blocks of the base into the overlay, and cuts off what lies past the volume's end.
Status Volume::keep(BlockRange blocks, ByteSpan bytes) {
  const std::uint64_t room = size().value - byte_offset(blocks.first).value;
  return overlay_->put_clean(blocks.first, bytes.first(std::min<std::uint64_t>(bytes.size(), room)));
}

Status Volume::fetch(BlockRange range) {
  for (const HoldRun& run : overlay_->states(range)) {
    if (run.hold == BlockHold::kAbsent) TRY(fetch_absent(run.blocks));
  }
  return {};
}

Status Volume::fetch_absent(BlockRange range) {
  const auto base = this->base();
  if (!base) return overlay_->put_clean_zeroes(range);
  Lba at = range.first;
  while (at < range.end()) {
    const auto runs = TRY(base->runs({at, range.end() - at}, 1));
    const bool data = runs.front().kind == ExtentKind::kData || runs.front().kind == ExtentKind::kUnreadable;
    const BlockRange run{
        at, data ? BlockCount{std::min(kStepBlocks, runs.front().count.value)} : runs.front().count};
    if (data) {
      AlignedBuffer buffer(byte_count(run.count).value);
      TRY(base->read(run, buffer.span()));
      counters_.fetched_bytes += buffer.size();
      TRY(keep(run, buffer.span()));
    } else {
      TRY(overlay_->put_clean_zeroes(run));
    }
    at = run.end();
  }
  return {};
}

// Fetches the blocks that a change covers in part.
Status Volume::fetch_edges(ByteOffset offset, ByteCount bytes) {
  const std::uint64_t end = offset.value + bytes.value;
  for (const std::uint64_t at : {offset.value, end}) {
    if (at % kBlockBytes == 0 || at == size().value) continue;
    TRY(fetch({lba_of(ByteOffset{at}), BlockCount{1}}));
  }
  return {};
}

Status Volume::write(ByteOffset offset, ByteSpan bytes) {
  ++counters_.writes;
  if (!edges_held(offset, ByteCount{bytes.size()})) TRY(fetch_edges(offset, ByteCount{bytes.size()}));
  return overlay_->write(offset, bytes);
}

Status Volume::write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap) {
  ++counters_.writes;
  if (!edges_held(offset, bytes)) TRY(fetch_edges(offset, bytes));
  return overlay_->write_zeroes(offset, bytes, may_unmap);
}

}  // namespace ashlar
