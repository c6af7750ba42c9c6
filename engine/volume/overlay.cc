#include "volume/overlay.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "volume/overlay_state.h"

namespace ashlar {

namespace {

// Upper bound for the size of a map: 64 TiB whose chunks are all mixed need 4.3 GiB.
constexpr std::uint64_t kMaxMapBytes = std::uint64_t{64} << 30;

// Makes the clean blocks of a chunk dirty. The chunk was opened for writing, so they may differ from the base
// though their last durable state was clean.
void doubt_clean(ChunkTable& table, std::uint64_t number) {
  Stripe& stripe = table.stripe(number);
  const std::lock_guard guard(stripe.mutex);
  const Chunk* chunk = stripe.find(number);
  if (chunk == nullptr) return;
  for (std::size_t at = 0; at < kChunkBlocks;) {
    const std::size_t length = chunk->run(at, kChunkBlocks);
    if (chunk->get(at) == BlockHold::kClean) table.set(stripe, number, at, at + length, BlockHold::kDirty);
    at += length;
  }
}

// A map up to this size is rewritten when the overlay is opened, a larger one with the first flush: 71 MB,
// the map of a TiB whose chunks are all mixed, take longer to sync than to read.
constexpr std::uint64_t kRewriteAtOnceBytes = std::uint64_t{8} << 20;

// Loads the durable states into memory. Appends nothing to the old map: bytes that a killed process left in
// the page cache may never become durable, and a transaction after them would then follow a gap.
Status recover(OverlayState& state, VolumeId volume) {
  OverlayMapFile::Replayed replayed;
  std::uint64_t map_bytes = 0;
  {
    const ByteVector bytes = TRY(read_file(state.files, state.directory + "/map", kMaxMapBytes));
    replayed = TRY(OverlayMapFile::replay(
        bytes, volume, [&state](const OverlayRecord& record) { state.table.load(record); }));
    map_bytes = bytes.size();
  }
  state.table.recount();
  for (const std::uint64_t chunk : replayed.opened) doubt_clean(state.table, chunk);
  state.base = replayed.base.value;
  state.size = replayed.size.value;
  state.data = TRY(state.files.open_random(state.directory + "/data"));
  const std::uint64_t there = TRY(state.data->size());
  if (there < replayed.size.value) {
    return corrupt(
        fmt::format("{}/data: {} bytes, and its volume has {}", state.directory, there, replayed.size.value));
  }
  // The power failed while the volume was growing: `data` had grown already, the map had not.
  if (there > replayed.size.value) TRY(state.data->resize(replayed.size.value));
  state.map.continue_after(replayed.sequence);
  // Bytes that a killed process wrote may be only in the page cache; the next flush confirms them, so it has
  // to sync `data`.
  state.unsynced = true;
  if (map_bytes > kRewriteAtOnceBytes) return {};
  return state.rewrite_map();
}

}  // namespace

OverlayState::OverlayState(FileSystem& files_in, std::string directory_in, VolumeId volume)
    : files(files_in),
      directory(std::move(directory_in)),
      map(files_in, directory, volume),
      flushing([this] { return sync_all(size, false); }),
      marking([this] { return write_marks(); }) {}

Status OverlayState::check_range(std::uint64_t offset, std::uint64_t bytes) const {
  const std::uint64_t end = size;
  if (offset <= end && bytes <= end - offset) return {};
  return invalid(fmt::format("{} bytes at {} of a volume of {}", bytes, offset, end));
}

Status OverlayState::check_changeable() const {
  if (poisoned) {
    return Error(ErrorCode::kIo, fmt::format("{}/data: a sync failed before ({}); it takes nothing more",
                                             directory, std::generic_category().message(poison_errno)));
  }
  if (closed) return invalid(directory + ": the overlay is closed");
  return {};
}

Status OverlayState::check_kept(const Stripe& stripe, std::uint64_t number) const {
  if (!poisoned) return {};
  const std::lock_guard guard(stripe.mutex);
  const Chunk* chunk = stripe.find(number);
  if (chunk == nullptr || chunk->changed_in <= synced_period) return {};
  return Error(ErrorCode::kIo,
               fmt::format("{}/data: a sync failed, and chunk {} may be lost", directory, number));
}

std::uint64_t OverlayState::block_end(std::uint64_t lba) const {
  return std::min((lba + 1) * kBlockBytes, size.load());
}

ChunkPiece first_piece(std::uint64_t offset, std::uint64_t end) {
  constexpr std::uint64_t kChunkBytes = kChunkBlocks * kBlockBytes;
  ChunkPiece piece;
  piece.chunk = offset / kChunkBytes;
  piece.offset = offset;
  piece.bytes = std::min(end, (piece.chunk + 1) * kChunkBytes) - offset;
  const std::uint64_t inside = offset % kChunkBytes;
  piece.first = inside / kBlockBytes;
  piece.end = (inside + piece.bytes + kBlockBytes - 1) / kBlockBytes;
  return piece;
}

std::vector<HoldRun> OverlayState::states(BlockRange range) const {
  std::vector<HoldRun> runs;
  const auto add = [&runs](std::uint64_t lba, std::uint64_t count, BlockHold hold) {
    if (!runs.empty() && runs.back().hold == hold) {
      runs.back().blocks.count += BlockCount{count};
    } else {
      runs.push_back({{Lba{lba}, BlockCount{count}}, hold});
    }
  };
  for (std::uint64_t lba = range.first.value; lba < range.end().value;) {
    const std::uint64_t number = lba / kChunkBlocks;
    const std::uint64_t chunk_end = std::min((number + 1) * kChunkBlocks, range.end().value);
    const Stripe& stripe = table.stripe(number);
    const std::lock_guard guard(stripe.mutex);
    const Chunk* chunk = stripe.find(number);
    if (chunk == nullptr) {
      add(lba, chunk_end - lba, BlockHold::kAbsent);
      lba = chunk_end;
    }
    while (lba < chunk_end) {
      const std::size_t inside = lba % kChunkBlocks;
      const std::size_t length = chunk->run(inside, inside + (chunk_end - lba));
      add(lba, length, chunk->get(inside));
      lba += length;
    }
  }
  return runs;
}

Status OverlayState::read(std::uint64_t offset, MutableByteSpan out) const {
  TRY(check_range(offset, out.size()));
  if (out.empty()) return {};
  const std::uint64_t end = offset + out.size();
  const Lba first{offset / kBlockBytes};
  const auto held = states({first, Lba{(end + kBlockBytes - 1) / kBlockBytes} - first});
  for (const HoldRun& run : held) {
    if (run.hold != BlockHold::kAbsent) continue;
    return invalid(fmt::format("{} blocks at {} are not in the overlay", run.blocks.count.value,
                               run.blocks.first.value));
  }
  for (std::uint64_t at = offset; poisoned && at < end; at += first_piece(at, end).bytes) {
    const std::uint64_t number = first_piece(at, end).chunk;
    TRY(check_kept(table.stripe(number), number));
  }
  // Clean and dirty neighbours both lie in `data`, so one read takes them together.
  for (std::size_t i = 0; i < held.size();) {
    const bool zero = held[i].hold == BlockHold::kZero;
    std::size_t last = i;
    while (last + 1 < held.size() && (held[last + 1].hold == BlockHold::kZero) == zero) ++last;
    const std::uint64_t from = std::max(offset, byte_offset(held[i].blocks.first).value);
    const std::uint64_t to = std::min(end, byte_offset(held[last].blocks.end()).value);
    const auto target = out.subspan(from - offset, to - from);
    if (zero) {
      std::ranges::fill(target, std::byte{0});
    } else if (TRY(data->read_at(from, target)) != target.size()) {
      return Error(ErrorCode::kIo, directory + "/data: shorter than the volume");
    }
    i = last + 1;
  }
  return {};
}

Result<std::unique_ptr<Overlay>> Overlay::create(FileSystem& files, const std::string& directory,
                                                 VolumeId volume, ByteCount size, SnapshotId base) {
  if (size.value > kMaxVolumeBytes) return invalid("a volume of more than 64 PiB");
  auto state = std::make_shared<OverlayState>(files, directory, volume);
  state->lock = TRY(files.lock(directory + "/lock"));
  const auto there = files.file_size(directory + "/map");
  if (there.ok()) return Error::from_errno(EEXIST, "create overlay in " + directory);
  if (there.error().code() != ErrorCode::kNotFound) return there.error();
  TRY(remove_if_there(files, directory + "/data"));
  state->data = TRY(files.create_random(directory + "/data", size.value));
  TRY(state->data->sync());
  state->base = base.value;
  state->size = size.value;
  TRY(state->rewrite_map());
  return std::unique_ptr<Overlay>(new Overlay(std::move(state)));
}

Result<std::unique_ptr<Overlay>> Overlay::open(FileSystem& files, const std::string& directory,
                                               VolumeId volume) {
  TRY(files.file_size(directory + "/map").with_context("open overlay"));
  auto state = std::make_shared<OverlayState>(files, directory, volume);
  state->lock = TRY(files.lock(directory + "/lock"));
  TRY(remove_if_there(files, directory + "/spill"));
  TRY(recover(*state, volume));
  return std::unique_ptr<Overlay>(new Overlay(std::move(state)));
}

Status Overlay::remove(FileSystem& files, const std::string& directory) {
  const auto lock = TRY(files.lock(directory + "/lock"));
  // The map goes first: a directory without a map is not an overlay.
  for (const char* name : {"/map", "/map.new", "/spill", "/data", "/lock"}) {
    TRY(remove_if_there(files, directory + name));
  }
  return files.sync_directory(directory);
}

Overlay::~Overlay() = default;

SnapshotId Overlay::base() const { return SnapshotId{state_->base.load()}; }
ByteCount Overlay::size() const { return ByteCount{state_->size.load()}; }
std::vector<HoldRun> Overlay::states(BlockRange range) const { return state_->states(range); }
Status Overlay::read(ByteOffset offset, MutableByteSpan out) const { return state_->read(offset.value, out); }

Status Overlay::write(ByteOffset offset, ByteSpan bytes) { return state_->write(offset.value, bytes); }
Status Overlay::write_zeroes(ByteOffset offset, ByteCount bytes, bool may_unmap) {
  return state_->write_zeroes(offset.value, bytes.value, may_unmap);
}
Status Overlay::put_clean(Lba first, ByteSpan bytes) {
  return state_->put_clean(byte_offset(first).value, bytes.size(), bytes.data());
}
Status Overlay::put_clean_zeroes(BlockRange range) {
  const std::uint64_t offset = byte_offset(range.first).value;
  TRY(state_->check_range(offset, 0));
  const std::uint64_t bytes = std::min(byte_count(range.count).value, state_->size - offset);
  return state_->put_clean(offset, bytes, nullptr);
}

Status Overlay::flush() { return state_->flushing.commit(); }
Status Overlay::close() { return state_->close(); }
Status Overlay::grow(ByteCount size) { return state_->grow(size.value); }
Status Overlay::settle_data() { return state_->settle_data(); }

Overlay::Counters Overlay::counters() const {
  return {BlockCount{state_->table.count(BlockHold::kClean)},
          BlockCount{state_->table.count(BlockHold::kDirty)},
          BlockCount{state_->table.count(BlockHold::kZero)}};
}

}  // namespace ashlar
