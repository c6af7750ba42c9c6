// Budget: what the inspection of one disk may still cost, all its file systems together. A hostile disk can
// make a walk endless; the budget ends it, because every step of a walk reads bytes or meets a name.
// Internal to the module.
//
// Reads of partition tables and signatures are not counted: at most 6 MiB each, for 128 partitions and twice
// for the whole disk.
#pragma once

#include <cstdint>

namespace ashlar {

struct Budget {
  // At worst some 10 s of fetching and decoding; a Debian takes a few MiB. A read costs a block at least.
  std::uint64_t read_bytes = std::uint64_t{1} << 30U;
  std::uint64_t names = 250'000;
};

}  // namespace ashlar
