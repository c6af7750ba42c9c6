// Bytes that compress as those of a disk do, equal in every run.
//
// A disk holds text, programs and tables, and data that is compressed already. So each block of 4 KiB is of
// one of three kinds: 5 in 8 are lines of text, 2 in 8 are records of 16 bytes (a counter, a small number, a
// random one), 1 in 8 is random bytes. In frames of 64 KiB zstd -1 compresses it 2.1:1, at the speed at which
// it compresses the new blocks of a Debian disk 2.5:1.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/random.h"

namespace ashlar {

// Fills `out` with lines as of a log or a source: one of 512 made-up texts, the first ones more often, and a
// number.
inline void fill_with_lines(Prng& prng, MutableByteSpan out) {
  static const std::vector<std::string> lines = [] {
    Prng letters(7);
    std::vector<std::string> made(512);
    for (std::string& line : made) {
      for (std::uint64_t left = 10 + letters.below(60); left > 0; --left)
        line += static_cast<char>('a' + letters.below(26));
    }
    return made;
  }();
  for (std::size_t at = 0; at < out.size();) {
    const std::string line =
        lines[prng.below(1 + prng.below(lines.size()))] + std::to_string(prng.below(10'000)) + '\n';
    const std::size_t length = std::min(line.size(), out.size() - at);
    std::memcpy(out.data() + at, line.data(), length);
    at += length;
  }
}

inline void fill_with_records(Prng& prng, MutableByteSpan out) {
  std::uint64_t counter = prng.below(1U << 30U);
  for (std::size_t at = 0; at < out.size(); at += 16) {
    const std::uint64_t halves[2] = {++counter, prng.below(100) << 32U | prng.below(1U << 16U)};
    std::memcpy(out.data() + at, halves, sizeof halves);
  }
}

// Fills `out`, a whole number of blocks, with blocks of the three kinds.
inline void fill_like_a_disk(Prng& prng, MutableByteSpan out) {
  for (std::size_t at = 0; at < out.size(); at += kBlockBytes) {
    const MutableByteSpan block = out.subspan(at, kBlockBytes);
    const std::uint64_t kind = prng.below(8);
    if (kind < 5) {
      fill_with_lines(prng, block);
    } else if (kind < 7) {
      fill_with_records(prng, block);
    } else {
      prng.fill(block);
    }
  }
}

inline AlignedBuffer disk_like(std::size_t bytes) {
  AlignedBuffer buffer(bytes);
  Prng prng(1);
  fill_like_a_disk(prng, buffer.span());
  return buffer;
}

}  // namespace ashlar
