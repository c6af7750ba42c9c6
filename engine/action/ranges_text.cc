#include "action/ranges_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {
namespace {

// The number of ranges that a message names; the rest are counted.
constexpr std::size_t kNamedRanges = 3;

}  // namespace

ByteRange byte_range(BlockRange range, ByteCount size) {
  const std::uint64_t begin = std::min(byte_offset(range.first).value, size.value);
  const std::uint64_t end = std::min(byte_offset(range.end()).value, size.value);
  return {begin, end - begin};
}

std::string ranges_text(const std::vector<BlockRange>& ranges, ByteCount size) {
  std::string text;
  for (std::size_t i = 0; i < std::min(ranges.size(), kNamedRanges); ++i) {
    const ByteRange bytes = byte_range(ranges[i], size);
    text += fmt::format("{}{} byte{} at {}", i == 0 ? "" : ", ", bytes.length, bytes.length == 1 ? "" : "s",
                        bytes.offset);
  }
  if (ranges.size() > kNamedRanges) {
    const std::size_t more = ranges.size() - kNamedRanges;
    text += fmt::format(" and {} more range{}", more, more == 1 ? "" : "s");
  }
  return text;
}

}  // namespace ashlar
