// The bytes of a leaf, whatever its extents are.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "format/node_format.h"
#include "store/segments.h"

namespace ashlar {

// Fills `out` (block_count() × 4096 bytes). `first` is the leaf's first block, for messages. UNREADABLE is
// kCorrupt.
Status read_leaf(SegmentReader& segments, const Leaf& leaf, Lba first, MutableByteSpan out);

// "blocks 12 to 15 (bytes 49152 to 65535) were unreadable when the snapshot was taken".
Error unreadable_range(BlockRange range);

}  // namespace ashlar
