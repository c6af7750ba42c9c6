// Views: the guest's changes as of an instant. Opening a view copies nothing. A thread that changes a dirty
// block which the view needs first copies the old bytes to `spill`, a sparse file in which each block lies at
// its own offset, and then sets the block's bit in `touched`. So an old block is always in exactly one known
// place: in `data` while its bit is not set, in `spill` once it is. When
// a copy fails, the view is lost and answers no further read.
#include <fmt/format.h>

#include <algorithm>

#include "volume/overlay_state.h"

namespace ashlar {

namespace {

constexpr std::uint64_t kSpillPieceBlocks = 16;

bool is_change(BlockHold hold) { return hold == BlockHold::kDirty || hold == BlockHold::kZero; }

// Returns the states of a chunk at the instant of the view. The caller holds the stripe's mutex.
ChunkStates instant_states(Stripe& stripe, std::uint64_t number) {
  if (const ViewChunk* kept = stripe.view(number)) return kept->states;
  ChunkStates states;
  if (const Chunk* chunk = stripe.find(number)) {
    if (chunk->states) return *chunk->states;
    states.fill(chunk->constant);
  }
  return states;
}

// Calls `job(first, end)` for each run of [first, end) for which `wanted` holds, block by block.
template <class Wanted, class Job>
void for_each_run(std::size_t first, std::size_t end, const Wanted& wanted, const Job& job) {
  for (std::size_t at = first; at < end;) {
    if (!wanted(at)) {
      ++at;
      continue;
    }
    std::size_t last = at + 1;
    while (last < end && wanted(last)) ++last;
    job(at, last);
    at = last;
  }
}

}  // namespace

Status OverlayState::prepare_view() {
  TRY(check_changeable());
  const std::string path = directory + "/spill";
  if (Status removed = files.remove(path); !removed.ok() && removed.error().code() != ErrorCode::kNotFound)
    return removed;
  spill = TRY(files.create_random(path, size));
  view_broken = false;
  return {};
}

std::vector<HoldRun> OverlayState::view_changes() {
  std::vector<HoldRun> runs;
  for (const std::uint64_t number : table.numbers()) {
    Stripe& stripe = table.stripe(number);
    ChunkStates states;
    {
      const std::lock_guard guard(stripe.mutex);
      const Chunk* chunk = stripe.find(number);
      const bool constant = stripe.view(number) == nullptr && chunk != nullptr && !chunk->states;
      if (constant && !is_change(chunk->constant)) continue;
      states = instant_states(stripe, number);
    }
    for (std::size_t at = 0; at < kChunkBlocks;) {
      const std::size_t length = states.run(at, kChunkBlocks);
      const Lba lba{number * kChunkBlocks + at};
      const BlockHold hold = states.get(at);
      at += length;
      if (!is_change(hold)) continue;
      if (!runs.empty() && runs.back().hold == hold && runs.back().blocks.end() == lba) {
        runs.back().blocks.count += BlockCount{length};
      } else {
        runs.push_back({{lba, BlockCount{length}}, hold});
      }
    }
  }
  return runs;
}

// Keeps the old blocks of a piece before they change, each at its first change only. The caller holds the
// stripe's mutex. When a block can't be kept, the view is lost; the guest's write goes on.
void OverlayState::keep_for_view(Stripe& stripe, const ChunkPiece& piece) {
  if (!stripe.view_open) return;
  ViewChunk* kept = stripe.view(piece.chunk);
  if (kept == nullptr) {
    const ChunkStates states = instant_states(stripe, piece.chunk);
    kept = &stripe.view_chunks[piece.chunk];
    kept->states = states;
  }
  for_each_run(
      piece.first, piece.end,
      [kept](std::size_t at) { return !kept->touched.test(at) && kept->states.get(at) == BlockHold::kDirty; },
      [&](std::size_t first, std::size_t end) {
        if (!view_broken && !spill_blocks(piece.chunk * kChunkBlocks + first, end - first).ok())
          view_broken = true;
      });
  for (std::size_t at = piece.first; at < piece.end; ++at) {
    if (is_change(kept->states.get(at))) kept->touched.set(at);
  }
}

Status OverlayState::spill_blocks(std::uint64_t first_lba, std::uint64_t count) {
  ByteVector buffer(std::min(count, kSpillPieceBlocks) * kBlockBytes);
  const std::uint64_t view_end = TRY(spill->size());
  const std::uint64_t end = std::min((first_lba + count) * kBlockBytes, view_end);
  for (std::uint64_t at = first_lba * kBlockBytes; at < end;) {
    const MutableByteSpan part =
        MutableByteSpan(buffer).first(std::min<std::uint64_t>(buffer.size(), end - at));
    if (TRY(data->read_at(at, part)) != part.size())
      return Error(ErrorCode::kIo, directory + "/data: too short");
    TRY(spill->write_at(at, part));
    at += part.size();
  }
  return {};
}

Status OverlayState::view_read(std::uint64_t lba, MutableByteSpan out) {
  if (out.size() % kBlockBytes != 0) return invalid("a view is read by whole blocks");
  const std::uint64_t offset = lba * kBlockBytes;
  for (std::uint64_t at = offset; at < offset + out.size();) {
    const ChunkPiece piece = first_piece(at, offset + out.size());
    TRY(view_read_chunk(piece, out.subspan(at - offset, piece.bytes)));
    at += piece.bytes;
  }
  return {};
}

// Reads `data` without a lock, and looks afterwards which blocks were touched. That is enough: a writer sets
// the bit before it changes the bytes, so bytes that were read too late always show a set bit, and are then
// taken from the spill.
Status OverlayState::view_read_chunk(const ChunkPiece& piece, MutableByteSpan out) {
  std::ranges::fill(out, std::byte{0});
  TRY(data->read_at(piece.offset, out));
  Stripe& stripe = table.stripe(piece.chunk);
  TRY(check_kept(stripe, piece.chunk));
  ChunkStates states;
  BlockSet touched;
  {
    const std::lock_guard guard(stripe.mutex);
    states = instant_states(stripe, piece.chunk);
    if (const ViewChunk* kept = stripe.view(piece.chunk)) touched = kept->touched;
  }
  for (std::size_t at = piece.first; at < piece.end; ++at) {
    if (!is_change(states.get(at))) return invalid("a block that the view does not have");
  }
  const auto target = [&](std::size_t first, std::size_t end) {
    return out.subspan((first - piece.first) * kBlockBytes, (end - first) * kBlockBytes);
  };
  for_each_run(
      piece.first, piece.end, [&](std::size_t at) { return states.get(at) == BlockHold::kZero; },
      [&](std::size_t first, std::size_t end) { std::ranges::fill(target(first, end), std::byte{0}); });
  Status done;
  for_each_run(
      piece.first, piece.end,
      [&](std::size_t at) { return states.get(at) == BlockHold::kDirty && touched.test(at); },
      [&](std::size_t first, std::size_t end) {
        std::ranges::fill(target(first, end), std::byte{0});
        const auto read =
            spill->read_at((piece.chunk * kChunkBlocks + first) * kBlockBytes, target(first, end));
        if (!read.ok() && done.ok()) done = Error(read.error().code(), read.error().text());
      });
  if (view_broken) return Error(ErrorCode::kIo, directory + "/spill: an old block could not be kept");
  return done;
}

// Makes the blocks clean that did not change since the instant: they equal the new base. A zero block becomes
// clean as well, not absent, so that a volume that needed no store before needs none after. A clean block is
// read from `data`, so zeros are punched there first; where that fails, the block stays zero.
void OverlayState::turn_clean(const std::vector<HoldRun>& changes) {
  for (const HoldRun& run : changes) {
    const std::uint64_t end = byte_offset(run.blocks.end()).value;
    for (std::uint64_t at = byte_offset(run.blocks.first).value; at < end;) {
      const ChunkPiece piece = first_piece(at, end);
      at += piece.bytes;
      Stripe& stripe = table.stripe(piece.chunk);
      const std::lock_guard guard(stripe.mutex);
      const ViewChunk* kept = stripe.view(piece.chunk);
      for_each_run(
          piece.first, piece.end,
          [kept](std::size_t block) { return kept == nullptr || !kept->touched.test(block); },
          [&](std::size_t first, std::size_t last) {
            if (run.hold == BlockHold::kZero && !punch(stripe, piece.chunk, first, last).ok()) return;
            table.set(stripe, piece.chunk, first, last, BlockHold::kClean);
          });
    }
  }
}

void OverlayState::close_view() {
  for (Stripe& stripe : table.stripes()) {
    const std::lock_guard guard(stripe.mutex);
    stripe.view_open = false;
    stripe.view_chunks.clear();
  }
  spill.reset();
  static_cast<void>(files.remove(directory + "/spill"));  // the next view or open removes what stays
  view_taken = false;
}

SnapshotView::~SnapshotView() { state_->close_view(); }

Status SnapshotView::read(Lba first, MutableByteSpan out) const {
  return state_->view_read(first.value, out);
}

namespace {

// Calls `job` while no flush of any of the overlays runs, by entering their slots one inside the other.
template <class Job>
Status alone_in_all(const std::vector<OverlayState*>& states, std::size_t from, const Job& job) {
  if (from == states.size()) return job();
  return states[from]->flushing.alone([&] { return alone_in_all(states, from + 1, job); });
}

// Takes the instant: while all stripes of all overlays are locked, no thread is inside a chunk.
void open_views(const std::vector<OverlayState*>& states) {
  std::vector<std::vector<std::unique_lock<std::mutex>>> locks;
  locks.reserve(states.size());
  for (OverlayState* state : states) locks.push_back(state->table.lock_all());
  for (OverlayState* state : states) {
    for (Stripe& stripe : state->table.stripes()) stripe.view_open = true;
  }
}

}  // namespace

Result<std::vector<std::unique_ptr<SnapshotView>>> Overlay::begin_views(
    const std::vector<Overlay*>& overlays) {
  std::vector<std::unique_ptr<SnapshotView>> views;  // closes the views on every failure from here on
  std::vector<OverlayState*> states;
  for (Overlay* overlay : overlays) {
    OverlayState& state = *overlay->state_;
    if (state.view_taken.exchange(true)) return busy(state.directory + ": another view is open");
    views.emplace_back(new SnapshotView(overlay->state_));
    states.push_back(&state);
  }
  for (OverlayState* state : states) TRY(state->flushing.commit());
  TRY(alone_in_all(states, 0, [&]() -> Status {
    for (OverlayState* state : states) TRY(state->prepare_view());
    open_views(states);
    for (std::size_t i = 0; i < states.size(); ++i) {
      views[i]->base_ = SnapshotId{states[i]->base};
      views[i]->size_ = ByteCount{states[i]->size};
    }
    return {};
  }));
  for (std::size_t i = 0; i < states.size(); ++i) views[i]->changes_ = states[i]->view_changes();
  return views;
}

Status Overlay::end_view(std::unique_ptr<SnapshotView> view, SnapshotId new_base) {
  return state_->flushing.alone([&]() -> Status {
    TRY(state_->check_changeable());
    if (state_->view_broken) {
      return Error(ErrorCode::kIo, state_->directory + "/spill: an old block could not be kept");
    }
    state_->turn_clean(view->changes_);
    state_->base = new_base.value;
    view.reset();
    return state_->sync_all(state_->size, true);
  });
}

}  // namespace ashlar
