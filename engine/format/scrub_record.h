// The bytes of a scrub's state, the object `scrub/state`. Page: docs/format/scrub.md.
//
// Packs are scrubbed in groups: a group is the packs, of both kinds, whose ids begin with the same twelve
// bits. The state says when each group was last read whole.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kScrubVersion = 1;
inline constexpr std::size_t kScrubGroups = 4096;
inline constexpr std::size_t kMaxScrubStateBytes = std::size_t{64} << 10U;

// Returns the group of a pack.
inline std::size_t scrub_group(const PackId& pack) {
  return std::to_integer<std::size_t>(pack.bytes[0]) << 4U |
         std::to_integer<std::size_t>(pack.bytes[1]) >> 4U;
}

struct ScrubState {
  StoreId store;
  std::uint64_t revision = 0;                   // one more with each replacement; 0: nothing is stored yet
  Nonce nonce;                                  // random, another one in each version
  std::array<UtcTime, kScrubGroups> checked{};  // when the check of each group began; 0: never

  friend bool operator==(const ScrubState&, const ScrubState&) = default;
};
ByteVector encode(const ScrubState& state);
Result<ScrubState> decode_scrub_state(ByteSpan bytes);

}  // namespace ashlar
