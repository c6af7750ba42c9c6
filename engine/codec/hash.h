// Hashes: names and checksums of bytes.
//
// SHA-256 (libcrypto) names content: blocks, segments, nodes. Poly1305 (RFC 8439; libcrypto) under a secret
// of the store detects change of a region; a writer of the source who sees no hash can't keep a change from
// being found (docs/decisions/region-hash.md). XXH3 (Yann Collet, xxHash 0.8) detects decay. It never names
// content: an image of unknown origin may be hostile, and XXH3 does not resist an attacker.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/id.h"
#include "base/quantity.h"

namespace ashlar {

using Sha256 = std::array<std::byte, 32>;

// A reusable SHA-256 state; each thread needs its own. 2 GB/s on a core with SHA-NI.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;

  void begin();
  void update(ByteSpan bytes);
  Sha256 finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Hashes `bytes` at once, with a hasher of the calling thread.
Sha256 sha256(ByteSpan bytes);
// Hashes `domain` and then `bytes`, so that two kinds of things with equal bytes never have the same name.
Sha256 sha256(std::string_view domain, ByteSpan bytes);

// Returns the mark of a block: SHA-256 of its 4096 bytes. The caller pads a short last block with zeros.
BlockMark block_mark(ByteSpan block);

// Convert between the mark of a block, which digests and signatures are made of, and its id, which
// directories and the index hold. In a store without encryption both have the same bytes.
BlockId id_of(const BlockMark& mark);
BlockMark mark_of(const BlockId& id);

// Returns the id of a block: id_of() its mark.
BlockId block_id(ByteSpan block);

// The key of a store's region hashes: r and s of Poly1305, 16 bytes each. Anyone who has it can make a change
// that is not found, so only `ashlar.json` holds it, and no message shows it.
class RegionSecret {
 public:
  static constexpr std::size_t kBytes = 32;
  static RegionSecret random();
  ByteSpan span() const { return bytes_; }
  MutableByteSpan span() { return bytes_; }
  friend bool operator==(const RegionSecret&, const RegionSecret&) = default;

 private:
  std::array<std::byte, kBytes> bytes_{};
};

// Returns the Poly1305 of a region (up to 64 KiB), as leaves keep it. Any thread; allocates nothing after a
// thread's first call.
RegionHash region_hash(ByteSpan region, const RegionSecret& secret);

// Returns the unseeded XXH3-64: the checksum of every persistent structure.
std::uint64_t checksum64(ByteSpan bytes);

// Returns the seeded XXH3-128 in canonical form: the checksum of structures that are written into old bytes,
// such as the overlay's map.
using Checksum128 = std::array<std::byte, 16>;
Checksum128 checksum128(ByteSpan bytes, std::uint64_t seed);

}  // namespace ashlar
