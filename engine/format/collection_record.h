// The bytes of a collection's state and of its list of condemned packs. Page: docs/format/collection.md.
//
// `collect/state` says how far the collection of this store is; every step of it replaces the object, so of
// two collections only one goes on. A list, `collect/<epoch>-<nonce>`, names packs. The state names the list
// that counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/result.h"
#include "format/pack_format.h"

namespace ashlar {

inline constexpr std::uint16_t kCollectionVersion = 1;
inline constexpr std::size_t kMaxCollectionStateBytes = 256;
// A list names at most this many packs, which are 256 TiB of full ones; the next collection takes the rest.
inline constexpr std::size_t kMaxCondemned = std::size_t{1} << 22U;
inline constexpr std::size_t kMaxPackListBytes = 64 + kMaxCondemned * (1 + PackId::kBytes);

enum class CollectionPhase : std::uint8_t {
  kIdle = 0,
  kBarrier = 1,  // the list is condemned: writers lean on none of it anew, and name what they keep
  kFree = 2,     // the list is final: nothing needs its packs, and they are being removed
};

struct CollectionState {
  StoreId store;
  std::uint64_t revision = 0;
  Nonce nonce;              // another one in each version
  std::uint64_t epoch = 0;  // one more with each list that was condemned
  CollectionPhase phase = CollectionPhase::kIdle;
  SessionId collector;  // who made this version
  Nonce list;           // of the list's key; zero when idle

  friend bool operator==(const CollectionState&, const CollectionState&) = default;
};
ByteVector encode(const CollectionState& state);
Result<CollectionState> decode_collection_state(ByteSpan bytes);

struct PackName {
  PackKind kind = PackKind::kData;
  PackId id;
  friend auto operator<=>(const PackName&, const PackName&) = default;
};
struct PackList {
  StoreId store;
  std::uint64_t epoch = 0;
  std::vector<PackName> packs;  // ascending, each once

  friend bool operator==(const PackList&, const PackList&) = default;
};
ByteVector encode(const PackList& list);
Result<PackList> decode_pack_list(ByteSpan bytes);

}  // namespace ashlar
