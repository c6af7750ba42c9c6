// Hashes: names and checksums of bytes.
//
// SHA-256 (libcrypto) names content: blocks, segments, nodes. XXH3 (Yann Collet, xxHash 0.8) detects change
// and decay. It never names content: an image of unknown origin may be hostile, and XXH3 does not resist an
// attacker.
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

// Returns the id of a block: SHA-256 of its 4096 bytes. The caller pads a short last block with zeros.
BlockId block_id(ByteSpan block);

// Returns the seeded XXH3-128 of a region (up to 64 KiB), as leaves keep it.
RegionHash region_hash(ByteSpan region, std::uint64_t seed);

// Returns the unseeded XXH3-64: the checksum of every persistent structure.
std::uint64_t checksum64(ByteSpan bytes);

}  // namespace ashlar
