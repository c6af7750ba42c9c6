// resealed(): makes the checksum of an input right, so that a fuzzer reaches the fields that it covers.
#pragma once

#include <cstring>

#include "codec/hash.h"
#include "fuzz/target.h"

namespace ashlar::fuzz {

constexpr std::size_t kChecksumBytes = 8;

inline void put_checksum(MutableByteSpan where, std::uint64_t checksum) {
  for (std::size_t i = 0; i < kChecksumBytes; ++i) where[i] = static_cast<std::byte>(checksum >> (8 * i));
}

// Replaces the last eight bytes with the XXH3-64 of those before them.
inline ByteVector resealed(ByteSpan bytes) {
  ByteVector out(bytes.begin(), bytes.end());
  if (out.size() < kChecksumBytes) return out;
  const std::size_t body = out.size() - kChecksumBytes;
  put_checksum(MutableByteSpan(out).subspan(body), checksum64(ByteSpan(out).first(body)));
  return out;
}

}  // namespace ashlar::fuzz
