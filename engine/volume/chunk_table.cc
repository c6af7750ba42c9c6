#include "volume/chunk_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ashlar {

namespace {

// Counts the blocks in each state, 32 blocks (2 bits each) at a time.
std::array<std::uint64_t, 4> count_states(const ChunkStates& states) {
  constexpr std::uint64_t kLow = 0x5555555555555555;
  std::array<std::uint64_t, 4> counts{};
  for (std::size_t at = 0; at < states.bytes.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, states.bytes.data() + at, sizeof word);
    const std::uint64_t low = word & kLow;
    const std::uint64_t high = word >> 1U & kLow;
    counts[1] += static_cast<std::uint64_t>(std::popcount(low & ~high));
    counts[2] += static_cast<std::uint64_t>(std::popcount(high & ~low));
    counts[3] += static_cast<std::uint64_t>(std::popcount(high & low));
  }
  return counts;
}

}  // namespace

bool Chunk::any(std::size_t first, std::size_t end, BlockHold hold) const {
  for (std::size_t at = first; at < end; at += run(at, end)) {
    if (get(at) == hold) return true;
  }
  return false;
}

bool Chunk::has_space(std::size_t first, std::size_t end) const {
  if (!reserved) return false;
  for (std::size_t at = first; at < end; ++at) {
    if (!reserved->test(at)) return false;
  }
  return true;
}

void Chunk::set_space(std::size_t first, std::size_t end, bool there) {
  if (!reserved && !there) return;
  if (!reserved) reserved = std::make_unique<BlockSet>();
  for (std::size_t at = first; at < end; ++at) reserved->set(at, there);
}

const Chunk* Stripe::find(std::uint64_t chunk) const {
  const auto at = chunks.find(chunk);
  return at == chunks.end() ? nullptr : &at->second;
}

ViewChunk* Stripe::view(std::uint64_t chunk) {
  const auto at = view_chunks.find(chunk);
  return at == view_chunks.end() ? nullptr : &at->second;
}

void ChunkTable::set(Stripe& stripe, std::uint64_t number, std::size_t first, std::size_t end,
                     BlockHold hold) {
  Chunk& chunk = stripe.chunks[number];
  bool differs = false;
  for (std::size_t at = first; at < end;) {
    const std::size_t length = chunk.run(at, end);
    const BlockHold old = chunk.get(at);
    if (old != hold) {
      differs = true;
      counts_[static_cast<std::size_t>(old)] -= length;
      counts_[static_cast<std::size_t>(hold)] += length;
    }
    at += length;
  }
  if (!differs) return;
  if (first == 0 && end == kChunkBlocks) {
    chunk.constant = hold;
    chunk.states.reset();
  } else {
    if (!chunk.states) {
      chunk.states = std::make_unique<ChunkStates>();
      chunk.states->fill(chunk.constant);
    }
    for (std::size_t at = first; at < end; ++at) chunk.states->set(at, hold);
  }
  if (chunk.changed) return;
  chunk.changed = true;
  const std::lock_guard guard(changes_mutex_);
  changes_.push_back(number);
}

void ChunkTable::load(const OverlayRecord& record) {
  for (std::uint64_t number = record.chunk; number < record.chunk + record.count; ++number) {
    Chunk& chunk = stripe(number).chunks[number];
    if (record.kind == OverlayRecordKind::kStates) {
      chunk.states = std::make_unique<ChunkStates>(*record.states);
    } else {
      chunk.constant = record.hold;
      chunk.states.reset();
    }
  }
}

void ChunkTable::recount() {
  std::array<std::uint64_t, 4> sums{};
  for (Stripe& stripe : stripes_) {
    const std::lock_guard guard(stripe.mutex);
    for (const auto& [number, chunk] : stripe.chunks) {
      if (!chunk.states) {
        sums[static_cast<std::size_t>(chunk.constant)] += kChunkBlocks;
        continue;
      }
      const auto counts = count_states(*chunk.states);
      for (std::size_t i = 0; i < counts.size(); ++i) sums[i] += counts[i];
    }
  }
  for (std::size_t i = 0; i < sums.size(); ++i) counts_[i] = sums[i];
}

std::vector<std::uint64_t> ChunkTable::take_changes() {
  std::vector<std::uint64_t> taken;
  {
    const std::lock_guard guard(changes_mutex_);
    taken.swap(changes_);
  }
  std::ranges::sort(taken);
  taken.erase(std::unique(taken.begin(), taken.end()), taken.end());
  return taken;
}

std::vector<std::uint64_t> ChunkTable::numbers() const {
  std::vector<std::uint64_t> numbers;
  for (const Stripe& stripe : stripes_) {
    const std::lock_guard guard(stripe.mutex);
    for (const auto& [number, chunk] : stripe.chunks) numbers.push_back(number);
    for (const auto& [number, chunk] : stripe.view_chunks) {
      if (!stripe.chunks.contains(number)) numbers.push_back(number);
    }
  }
  std::ranges::sort(numbers);
  return numbers;
}

std::vector<std::unique_lock<std::mutex>> ChunkTable::lock_all() {
  std::vector<std::unique_lock<std::mutex>> locks;
  locks.reserve(kStripes);
  for (Stripe& stripe : stripes_) locks.emplace_back(stripe.mutex);
  return locks;
}

}  // namespace ashlar
