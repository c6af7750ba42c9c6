#include "restore/leaf_reader.h"

#include <fmt/format.h>

namespace ashlar {

Error unreadable_range(BlockRange range) {
  return corrupt(fmt::format("bytes {} to {} could not be read when the snapshot was taken: they are lost",
                             byte_offset(range.first).value, byte_offset(range.end()).value - 1));
}

Status read_leaf(SegmentReader& segments, const Leaf& leaf, Lba first, MutableByteSpan out) {
  CHECK(out.size() == leaf.block_count() * kBlockBytes);
  Lba lba = first;
  for (const LeafExtent& extent : leaf.extents) {
    const BlockCount count{extent.block_count};
    const MutableByteSpan bytes = out.subspan((lba - first).value * kBlockBytes, byte_count(count).value);
    if (extent.kind == ExtentKind::kUnreadable) return unreadable_range({lba, count});
    if (extent.kind == ExtentKind::kData) {
      const auto segment = TRY(segments.locate(leaf.segments[extent.segment]));
      TRY(segments.read(*segment, extent.first_block, extent.block_count, bytes));
    } else {
      std::memset(bytes.data(), 0, bytes.size());
    }
    lba += count;
  }
  return {};
}

}  // namespace ashlar
