#include "simulated/simulated_sectors.h"

#include <algorithm>

namespace ashlar {

std::size_t SimulatedSectors::read(std::uint64_t offset, MutableByteSpan out) const {
  if (offset >= size_) return 0;
  const std::size_t length = std::min<std::uint64_t>(out.size(), size_ - offset);
  for (std::size_t done = 0; done < length;) {
    const std::uint64_t at = offset + done;
    const std::size_t inside = at % kSectorBytes;
    const std::size_t piece = std::min(kSectorBytes - inside, length - done);
    const auto sector = now_.find(at / kSectorBytes);
    const auto target = out.subspan(done, piece);
    if (sector == now_.end()) {
      std::ranges::fill(target, std::byte{0});
    } else {
      std::ranges::copy(ByteSpan(sector->second).subspan(inside, piece), target.begin());
    }
    done += piece;
  }
  return length;
}

void SimulatedSectors::write(std::uint64_t offset, ByteSpan bytes, Prng* torn, bool has_room) {
  if (torn == nullptr) take_space(offset, bytes.size());
  while (!bytes.empty()) {
    const std::size_t inside = offset % kSectorBytes;
    const ByteSpan piece = bytes.first(std::min(kSectorBytes - inside, bytes.size()));
    const bool fits = has_room || has_space(offset, piece.size());
    if (torn == nullptr || (torn->below(2) == 0 && fits)) {
      if (torn != nullptr) take_space(offset, piece.size());
      State state = get(offset / kSectorBytes);
      if (!state) state.emplace();
      std::ranges::copy(piece, state->begin() + static_cast<std::ptrdiff_t>(inside));
      set(offset / kSectorBytes, state);
    }
    offset += piece.size();
    bytes = bytes.subspan(piece.size());
  }
}

void SimulatedSectors::zero(std::uint64_t offset, std::uint64_t bytes, bool free_space, Prng* torn) {
  if (bytes == 0) return;
  const std::uint64_t end = offset + bytes;
  std::vector<std::uint64_t> written;
  for (auto at = now_.lower_bound(offset / kSectorBytes); at != now_.end() && at->first * kSectorBytes < end;
       ++at) {
    written.push_back(at->first);
  }
  for (const std::uint64_t number : written) {
    if (torn != nullptr && torn->below(2) == 0) continue;
    const std::uint64_t first = std::max(number * kSectorBytes, offset);
    const std::uint64_t last = std::min((number + 1) * kSectorBytes, end);
    State state = get(number);
    std::fill(state->begin() + static_cast<std::ptrdiff_t>(first % kSectorBytes),
              state->begin() + static_cast<std::ptrdiff_t>(last - number * kSectorBytes), std::byte{0});
    set(number, last - first == kSectorBytes ? State() : state);
  }
  if (!free_space) {
    if (torn == nullptr) take_space(offset, bytes);
    return;
  }
  const auto first_page = (offset + kPageBytes - 1) / kPageBytes;
  pages_.erase(pages_.lower_bound(first_page), pages_.lower_bound(std::max(first_page, end / kPageBytes)));
}

void SimulatedSectors::resize(std::uint64_t bytes) {
  if (bytes < size_) zero(bytes, size_ - bytes, true, nullptr);
  size_ = bytes;
  sizes_.push_back(bytes);
}

bool SimulatedSectors::has_space(std::uint64_t offset, std::uint64_t bytes) const {
  for (std::uint64_t page = offset / kPageBytes; page * kPageBytes < offset + bytes; ++page) {
    if (!pages_.contains(page)) return false;
  }
  return true;
}

void SimulatedSectors::take_space(std::uint64_t offset, std::uint64_t bytes) {
  for (std::uint64_t page = offset / kPageBytes; page * kPageBytes < offset + bytes; ++page)
    pages_.insert(page);
}

void SimulatedSectors::sync() {
  unsynced_.clear();
  sizes_ = {size_};
}

void SimulatedSectors::lose_unsynced() {
  crash([](std::size_t) { return std::size_t{0}; });
}

void SimulatedSectors::crash(const std::function<std::size_t(std::size_t)>& choose) {
  for (const auto& [number, states] : unsynced_) put(number, states[choose(states.size() - 1)]);
  unsynced_.clear();
  size_ = sizes_[choose(sizes_.size() - 1)];
  sizes_ = {size_};
  // Bytes past the end are dropped, those of the last sector too, and so is reserved space that holds no
  // bytes.
  now_.erase(now_.lower_bound((size_ + kSectorBytes - 1) / kSectorBytes), now_.end());
  if (const auto last = now_.find(size_ / kSectorBytes); size_ % kSectorBytes != 0 && last != now_.end()) {
    std::fill(last->second.begin() + static_cast<std::ptrdiff_t>(size_ % kSectorBytes), last->second.end(),
              std::byte{0});
  }
  pages_.clear();
  for (const auto& [number, bytes] : now_) pages_.insert(number * kSectorBytes / kPageBytes);
}

SimulatedSectors::State SimulatedSectors::get(std::uint64_t number) const {
  const auto at = now_.find(number);
  return at == now_.end() ? State() : State(at->second);
}

void SimulatedSectors::set(std::uint64_t number, State state) {
  auto& states = unsynced_[number];
  if (states.empty()) states.push_back(get(number));
  states.push_back(state);
  put(number, state);
}

void SimulatedSectors::put(std::uint64_t number, const State& state) {
  if (state) {
    now_[number] = *state;
  } else {
    now_.erase(number);
  }
}

}  // namespace ashlar
