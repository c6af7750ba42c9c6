// SimulatedSectors: the bytes of a file of the simulated disk that is written at any place. It keeps what
// programs see, what is durable, and every state that a sector had since the last sync; a crash may leave any
// of these.
//
// Sparse: a sector that was never written takes no memory. The class does not lock.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"

namespace ashlar {

class SimulatedSectors {
 public:
  static constexpr std::size_t kSectorBytes = 512;
  static constexpr std::uint64_t kPageBytes = 4096;  // the grain in which space is taken

  explicit SimulatedSectors(std::uint64_t bytes) : size_(bytes) { sizes_.push_back(bytes); }

  std::uint64_t size() const { return size_; }
  std::size_t read(std::uint64_t offset, MutableByteSpan out) const;

  // Writes `bytes`. With `torn` given, it decides for each sector of the range whether it arrives; without
  // room, a sector whose page has no space never does.
  void write(std::uint64_t offset, ByteSpan bytes, Prng* torn, bool has_room = true);
  void zero(std::uint64_t offset, std::uint64_t bytes, bool free_space, Prng* torn);
  void resize(std::uint64_t bytes);

  bool has_space(std::uint64_t offset, std::uint64_t bytes) const;
  void take_space(std::uint64_t offset, std::uint64_t bytes);

  void sync();
  void lose_unsynced();  // the effect of a failed sync
  // Leaves each sector and the size in one of its states: `choose(n)` picks one of n + 1, where 0 is the
  // durable state and n the newest.
  void crash(const std::function<std::size_t(std::size_t)>& choose);

 private:
  using Sector = std::array<std::byte, kSectorBytes>;
  using State = std::optional<Sector>;  // without a value: zeros that take no memory

  State get(std::uint64_t number) const;
  void set(std::uint64_t number, State state);
  void put(std::uint64_t number, const State& state);

  std::uint64_t size_;
  std::vector<std::uint64_t> sizes_;                      // the durable size, then each size since
  std::map<std::uint64_t, Sector> now_;                   // current contents by sector number
  std::map<std::uint64_t, std::vector<State>> unsynced_;  // the durable state, then each state since
  std::set<std::uint64_t> pages_;                         // pages that have space
};

}  // namespace ashlar
