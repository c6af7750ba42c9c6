// Flushing: how an overlay's changes become durable.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "volume/overlay_state.h"

namespace ashlar {

namespace {

void add_record(GatheredStates& gathered, std::uint64_t number, Chunk& chunk) {
  if (chunk.states && chunk.states->is_constant()) {
    chunk.constant = chunk.states->get(0);
    chunk.states.reset();
  }
  auto& records = gathered.records;
  if (chunk.states) {
    const ChunkStates* copy = &gathered.copies.emplace_back(*chunk.states);
    records.push_back({.kind = OverlayRecordKind::kStates, .chunk = number, .states = copy});
    return;
  }
  if (chunk.constant == BlockHold::kAbsent) return;
  const bool continues = !records.empty() && records.back().kind == OverlayRecordKind::kConstant &&
                         records.back().hold == chunk.constant &&
                         records.back().chunk + records.back().count == number;
  if (continues) {
    ++records.back().count;
  } else {
    records.push_back({.kind = OverlayRecordKind::kConstant, .hold = chunk.constant, .chunk = number});
  }
}

}  // namespace

GatheredStates OverlayState::gather(const std::vector<std::uint64_t>& chunks) {
  GatheredStates gathered;
  for (const std::uint64_t number : chunks) {
    Stripe& stripe = table.stripe(number);
    const std::lock_guard guard(stripe.mutex);
    const auto at = stripe.chunks.find(number);
    if (at == stripe.chunks.end()) continue;
    at->second.changed = false;
    add_record(gathered, number, at->second);
  }
  return gathered;
}

Status OverlayState::sync_all(std::uint64_t volume_size, bool always) {
  if (poisoned) return check_changeable();
  bool whole = false;
  {
    const std::lock_guard guard(map_mutex);
    whole = map.wants_rewrite();
  }
  // The list of changes is taken before the states are copied: a change from here on is in the next list.
  std::vector<std::uint64_t> chunks = table.take_changes();
  if (whole) chunks = table.numbers();
  GatheredStates gathered = gather(chunks);
  if (unsynced.exchange(false)) {
    const std::uint64_t ended = period.fetch_add(1);
    if (Status synced = data->sync(); !synced.ok()) {
      poison_errno = synced.error().error_number() == 0 ? EIO : synced.error().error_number();
      poisoned = true;
      return synced;
    }
    synced_period = ended;
  }
  const std::lock_guard guard(map_mutex);
  if (map.failed() && !whole) {
    // A mark failed during this flush. No map holds the gathered states; the next flush writes all states.
    return Error(ErrorCode::kIo, directory + "/map: a write failed");
  }
  if (whole) return map.rewrite(SnapshotId{base}, ByteCount{volume_size}, std::move(gathered.records));
  if (gathered.records.empty() && !always) return {};
  return map.append(SnapshotId{base}, ByteCount{volume_size}, std::move(gathered.records));
}

Status OverlayState::rewrite_map() {
  table.take_changes();
  GatheredStates gathered = gather(table.numbers());
  const std::lock_guard guard(map_mutex);
  return map.rewrite(SnapshotId{base}, ByteCount{size}, std::move(gathered.records));
}

Status OverlayState::close() {
  closed = true;
  // Changes that entered before `closed` was set end first.
  table.lock_all();
  return flushing.alone([this]() -> Status {
    TRY(sync_all(size, false));
    const std::lock_guard guard(map_mutex);
    if (!map.has_opened()) return {};
    return map.append_closed();
  });
}

Status OverlayState::grow(std::uint64_t bytes) {
  return flushing.alone([this, bytes]() -> Status {
    TRY(check_changeable());
    if (bytes < size)
      return invalid(fmt::format("a volume of {} bytes can't shrink to {}", size.load(), bytes));
    if (bytes > kMaxVolumeBytes) return invalid("a volume of more than 64 PiB");
    TRY(data->resize(bytes));
    unsynced = true;
    TRY(sync_all(bytes, true));
    size = bytes;
    return {};
  });
}

Status OverlayState::settle_data() {
  return flushing.alone([this]() -> Status {
    TRY(check_changeable());
    const std::uint64_t held =
        table.count(BlockHold::kClean) + table.count(BlockHold::kDirty) + table.count(BlockHold::kZero);
    const std::uint64_t blocks = blocks_covering(ByteCount{size}).value;
    if (held != blocks) return invalid(fmt::format("{} blocks are not in the overlay", blocks - held));
    TRY(punch_zeroes());
    return sync_all(size, false);
  });
}

// Makes blocks [first, end) of a chunk zeros in `data`, in any state. The caller holds the stripe's mutex.
Status OverlayState::punch(Stripe& stripe, std::uint64_t number, std::size_t first, std::size_t end) {
  const std::uint64_t lba = number * kChunkBlocks;
  const std::uint64_t from = (lba + first) * kBlockBytes;
  Status punched = data->zero(from, block_end(lba + end - 1) - from, ZeroSpace::kFree);
  note_changed(stripe.chunks[number]);
  stripe.chunks[number].set_space(first, end, false);
  return punched;
}

Status OverlayState::punch_zeroes() {
  for (const std::uint64_t number : table.numbers()) {
    Stripe& stripe = table.stripe(number);
    const std::lock_guard guard(stripe.mutex);
    const Chunk* chunk = stripe.find(number);
    for (std::size_t first = 0; chunk != nullptr && first < kChunkBlocks;) {
      const std::size_t end = first + chunk->run(first, kChunkBlocks);
      if (chunk->get(first) == BlockHold::kZero) TRY(punch(stripe, number, first, end));
      first = end;
    }
  }
  return {};
}

}  // namespace ashlar
