// Budget: what the inspection of one disk may still cost, all its file systems together. It is what ends the
// walks that a hostile disk makes endless: every step of those reads, or meets a name.
//
// Partition tables and signatures are not counted: at most 6 MiB each, of 128 partitions and twice the disk.
#pragma once

#include <cstdint>

namespace ashlar {

struct Budget {
  // Some 10 s of fetching and decoding at worst; a Debian takes a few MiB. A read costs a block at least.
  std::uint64_t read_bytes = std::uint64_t{1} << 30U;
  std::uint64_t names = 250'000;
};

}  // namespace ashlar
