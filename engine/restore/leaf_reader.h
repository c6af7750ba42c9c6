// Leaf reader: reads the bytes of a leaf with extents of any kind. Internal to the module.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "format/node_format.h"
#include "store/segments.h"

namespace ashlar {

// Fills `out` (block_count() × 4096 bytes). `first` is the leaf's first block, for messages. Returns kCorrupt
// when the leaf has UNREADABLE blocks.
Status read_leaf(SegmentReader& segments, const Leaf& leaf, Lba first, MutableByteSpan out);

// Returns the error for a lost range: "bytes 49152 to 65535 could not be read when the snapshot was taken:
// …".
Error unreadable_range(BlockRange range);

}  // namespace ashlar
