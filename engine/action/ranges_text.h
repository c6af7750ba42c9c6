// Block ranges as bytes, for messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/quantity.h"

namespace ashlar {

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};
// Returns a block range of a volume in bytes, cut at the volume's size.
ByteRange byte_range(BlockRange range, ByteCount size);
// Returns "12288 bytes at 4096, 8192 bytes at 65536 and 7 more ranges".
std::string ranges_text(const std::vector<BlockRange>& ranges, ByteCount size);

}  // namespace ashlar
