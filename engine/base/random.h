// Random numbers: the kernel's for ids and secrets, a seeded generator for everything that must be
// repeatable.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace ashlar {

// Fills `out` with random bytes of the kernel. Never fails once the system has booted.
void fill_random(MutableByteSpan out);

template <class Id>
Id random_id() {
  Id id;
  fill_random(id.span());
  return id;
}

std::uint64_t random_u64();

// SplitMix64 (Steele, Lea, Flood 2014): small and seeded. Good enough for tests and sampling, but not for
// secrets.
class Prng {
 public:
  explicit Prng(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  // Returns a number below `bound`, which must not be 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  void fill(MutableByteSpan out);

 private:
  std::uint64_t state_;
};

}  // namespace ashlar
