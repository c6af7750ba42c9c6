// Bytes to names and to checksums.
//
// SHA-256 (libcrypto) names content: blocks, segments, nodes. XXH3 (Yann Collet, xxHash 0.8) detects change
// and rot; it never names content, because an image from elsewhere is hostile input and XXH3 resists no
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

// A reusable SHA-256 state; one a thread. 2 GB/s on a core with SHA-NI.
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

// One-shot, with a hasher of the calling thread.
Sha256 sha256(ByteSpan bytes);
// SHA-256 over `domain` and then `bytes`: two kinds of things with equal bytes never share a name.
Sha256 sha256(std::string_view domain, ByteSpan bytes);

// The id of a block: SHA-256 of its 4096 bytes (a short last block is padded with zeros).
BlockId block_id(ByteSpan block);

// Seeded XXH3-128 of up to 64 KiB, as leaves keep it.
RegionHash region_hash(ByteSpan region, std::uint64_t seed);

// XXH3-64, unseeded: the checksum of every persistent structure.
std::uint64_t checksum64(ByteSpan bytes);

}  // namespace ashlar
