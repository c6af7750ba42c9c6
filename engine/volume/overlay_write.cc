// Changing: how an overlay's blocks get new bytes and states.
#include <fmt/format.h>

#include <algorithm>

#include "volume/overlay_state.h"

namespace ashlar {

namespace {

std::uint64_t align_down(std::uint64_t bytes) { return bytes / kBlockBytes * kBlockBytes; }
std::uint64_t align_up(std::uint64_t bytes) { return align_down(bytes + kBlockBytes - 1); }

bool needs_mark(const Chunk* chunk, const ChunkPiece& piece) {
  return chunk != nullptr && !chunk->opened && chunk->any(piece.first, piece.end, BlockHold::kClean);
}

}  // namespace

// Returns kBusy when an edge of the range covers an absent block in part. A held block stays held, so a good
// answer stays true.
Status OverlayState::edges_held(std::uint64_t offset, std::uint64_t end) const {
  const auto check = [this](std::uint64_t lba) -> Status {
    if (states({Lba{lba}, BlockCount{1}}).front().hold != BlockHold::kAbsent) return {};
    return busy(fmt::format("block {} is covered in part, and not in the overlay", lba));
  };
  if (offset % kBlockBytes != 0) TRY(check(offset / kBlockBytes));
  if (end % kBlockBytes != 0 && end != size) TRY(check(end / kBlockBytes));
  return {};
}

// Does all that may fail before a byte changes: marks clean chunks as opened, and allocates space.
Status OverlayState::prepare(std::uint64_t offset, std::uint64_t end, bool takes_space) {
  TRY(check_changeable());
  TRY(edges_held(offset, end));
  std::vector<std::uint64_t> unmarked;
  bool has_space = true;
  for (std::uint64_t at = offset; at < end;) {
    const ChunkPiece piece = first_piece(at, end);
    const Stripe& stripe = table.stripe(piece.chunk);
    const std::lock_guard guard(stripe.mutex);
    const Chunk* chunk = stripe.find(piece.chunk);
    if (needs_mark(chunk, piece)) unmarked.push_back(piece.chunk);
    has_space = has_space && chunk != nullptr && chunk->has_space(piece.first, piece.end);
    at += piece.bytes;
  }
  if (!unmarked.empty()) TRY(mark(unmarked));
  if (has_space || !takes_space) return {};
  const std::uint64_t first = align_down(offset);
  return data->allocate(first, std::min(align_up(end), size.load()) - first);
}

Result<std::unique_lock<std::mutex>> OverlayState::enter(const ChunkPiece& piece) {
  Stripe& stripe = table.stripe(piece.chunk);
  for (;;) {
    std::unique_lock guard(stripe.mutex);
    TRY(check_changeable());
    if (!needs_mark(stripe.find(piece.chunk), piece)) {
      keep_for_view(stripe, piece);
      return guard;
    }
    guard.unlock();
    TRY(mark({piece.chunk}));
  }
}

Status OverlayState::write(std::uint64_t offset, ByteSpan bytes) {
  TRY(check_range(offset, bytes.size()));
  if (bytes.empty()) return {};
  const std::uint64_t end = offset + bytes.size();
  TRY(prepare(offset, end, true));
  for (std::uint64_t at = offset; at < end;) {
    const ChunkPiece piece = first_piece(at, end);
    TRY(write_piece(piece, bytes.subspan(at - offset, piece.bytes)));
    at += piece.bytes;
  }
  return {};
}

Status OverlayState::write_piece(const ChunkPiece& piece, ByteSpan bytes) {
  const auto guard = TRY(enter(piece));
  Stripe& stripe = table.stripe(piece.chunk);
  const std::uint64_t end = piece.offset + piece.bytes;
  const std::uint64_t head_end =
      std::min(end, piece.offset % kBlockBytes == 0 ? piece.offset : block_end(piece.offset / kBlockBytes));
  const bool whole_tail = end % kBlockBytes == 0 || end == size;
  const std::uint64_t tail = whole_tail ? end : std::max(head_end, align_down(end));
  Status done;
  const auto put = [&](std::uint64_t from, std::uint64_t to, bool edge) {
    if (!done.ok() || from >= to) return;
    const ByteSpan part = bytes.subspan(from - piece.offset, to - from);
    done = edge ? write_edge(first_piece(from, to), part) : data->write_at(from, part);
  };
  put(piece.offset, head_end, true);
  put(head_end, tail, false);
  put(tail, end, true);
  note_changed(stripe.chunks[piece.chunk]);
  if (!done.ok()) {
    spoil_clean(stripe, piece);
    return done;
  }
  table.set(stripe, piece.chunk, piece.first, piece.end, BlockHold::kDirty);
  stripe.chunks[piece.chunk].set_space(piece.first, piece.end, true);
  return {};
}

// Writes a part of one block. `data` may hold anything under a zero block, so the whole block is written
// there.
Status OverlayState::write_edge(const ChunkPiece& piece, ByteSpan bytes) {
  const Chunk* chunk = table.stripe(piece.chunk).find(piece.chunk);
  if (chunk == nullptr || chunk->get(piece.first) != BlockHold::kZero)
    return data->write_at(piece.offset, bytes);
  std::array<std::byte, kBlockBytes> block{};
  const std::uint64_t start = align_down(piece.offset);
  std::ranges::copy(bytes, block.begin() + static_cast<std::ptrdiff_t>(piece.offset - start));
  return data->write_at(start, ByteSpan(block).first(block_end(piece.first_lba()) - start));
}

// Makes clean blocks of a piece dirty. After a change that failed half-way it is unknown whether they still
// equal the base.
void OverlayState::spoil_clean(Stripe& stripe, const ChunkPiece& piece) {
  const auto at = stripe.chunks.find(piece.chunk);
  if (at == stripe.chunks.end()) return;
  for (std::size_t block = piece.first; block < piece.end; ++block) {
    if (at->second.get(block) == BlockHold::kClean) {
      table.set(stripe, piece.chunk, block, block + 1, BlockHold::kDirty);
    }
  }
}

Status OverlayState::write_zeroes(std::uint64_t offset, std::uint64_t bytes, bool may_unmap) {
  TRY(check_range(offset, bytes));
  if (bytes == 0) return {};
  const std::uint64_t end = offset + bytes;
  const std::uint64_t first = std::min(align_up(offset), end);
  const std::uint64_t last = std::max(first, end == size ? end : align_down(end));
  TRY(prepare(offset, end, !may_unmap));
  // Blocks that are covered in part are written. Their space too is reserved before the first byte changes.
  if (offset < first) TRY(prepare(offset, first, true));
  if (last < end) TRY(prepare(last, end, true));
  const ByteVector zeros(kBlockBytes);
  if (offset < first) TRY(write(offset, ByteSpan(zeros).first(first - offset)));
  for (std::uint64_t at = first; at < last;) {
    const ChunkPiece piece = first_piece(at, last);
    TRY(zero_piece(piece, may_unmap ? ZeroSpace::kFree : ZeroSpace::kKeep));
    at += piece.bytes;
  }
  if (last < end) TRY(write(last, ByteSpan(zeros).first(end - last)));
  return {};
}

Status OverlayState::zero_piece(const ChunkPiece& piece, ZeroSpace space) {
  const auto guard = TRY(enter(piece));
  Stripe& stripe = table.stripe(piece.chunk);
  const Chunk* chunk = stripe.find(piece.chunk);
  // A chunk that never held a block needs no punch: a zero block is not read from `data`.
  const bool untouched = chunk == nullptr || (!chunk->states && chunk->constant == BlockHold::kAbsent);
  if (!untouched || space == ZeroSpace::kKeep) {
    Status zeroed = data->zero(piece.offset, piece.bytes, space);
    note_changed(stripe.chunks[piece.chunk]);
    if (!zeroed.ok()) {
      spoil_clean(stripe, piece);
      return zeroed;
    }
  }
  table.set(stripe, piece.chunk, piece.first, piece.end, BlockHold::kZero);
  stripe.chunks[piece.chunk].set_space(piece.first, piece.end, space == ZeroSpace::kKeep);
  return {};
}

Status OverlayState::put_clean(std::uint64_t offset, std::uint64_t bytes, const std::byte* source) {
  TRY(check_range(offset, bytes));
  const std::uint64_t end = offset + bytes;
  if (offset % kBlockBytes != 0 || (end % kBlockBytes != 0 && end != size)) {
    return invalid("only whole blocks can be clean");
  }
  for (std::uint64_t at = offset; at < end;) {
    const ChunkPiece piece = first_piece(at, end);
    TRY(fill_absent(piece, source == nullptr ? nullptr : source + (at - offset)));
    at += piece.bytes;
  }
  return {};
}

// Fills the absent blocks of a piece. `source` holds the bytes of the piece; null means zeros.
Status OverlayState::fill_absent(const ChunkPiece& piece, const std::byte* source) {
  Stripe& stripe = table.stripe(piece.chunk);
  const std::lock_guard guard(stripe.mutex);
  TRY(check_changeable());
  Chunk& chunk = stripe.chunks[piece.chunk];
  for (std::size_t at = piece.first; at < piece.end;) {
    const std::size_t length = chunk.run(at, piece.end);
    if (chunk.get(at) == BlockHold::kAbsent) {
      const std::uint64_t from = piece.offset + (at - piece.first) * kBlockBytes;
      const std::uint64_t to = std::min(from + length * kBlockBytes, piece.offset + piece.bytes);
      if (source == nullptr) {
        TRY(data->zero(from, to - from, ZeroSpace::kFree));
        chunk.set_space(at, at + length, false);
      } else {
        TRY(data->write_at(from, {source + (from - piece.offset), to - from}));
      }
      note_changed(chunk);
      table.set(stripe, piece.chunk, at, at + length, BlockHold::kClean);
    }
    at += length;
  }
  return {};
}

Status OverlayState::mark(const std::vector<std::uint64_t>& chunks) {
  {
    const std::lock_guard guard(marks_mutex);
    marks.insert(marks.end(), chunks.begin(), chunks.end());
  }
  return marking.commit();
}

Status OverlayState::write_marks() {
  std::vector<std::uint64_t> chunks;
  {
    const std::lock_guard guard(marks_mutex);
    chunks.swap(marks);
  }
  std::ranges::sort(chunks);
  chunks.erase(std::unique(chunks.begin(), chunks.end()), chunks.end());
  std::unique_lock guard(map_mutex);
  if (map.failed()) {
    guard.unlock();
    TRY(flushing.commit());
    guard.lock();
  }
  TRY(map.append_opened(chunks));
  for (const std::uint64_t number : chunks) {
    Stripe& stripe = table.stripe(number);
    const std::lock_guard inside(stripe.mutex);
    stripe.chunks[number].opened = true;
  }
  return {};
}

}  // namespace ashlar
