// Stored segments: a directory and compressed frames, copied without compressing them again.
// Internal to the module.
#pragma once

#include <stop_token>
#include <vector>

#include "store/segments.h"

namespace ashlar {

// Decodes every frame that is not absent and compares each block with its id. Any thread.
Status check_frames(const LocatedSegment& segment, ByteSpan payload);

// A segment to copy, and the blocks that have to come with it.
struct WantedSegment {
  SegmentId id;
  SegmentBlocks blocks;
};

// Reads and checks a segment of a store, each frame in a pack that has it. A frame that is in no pack, or is
// damaged wherever it is, becomes an absent one when none of its blocks is wanted; else this fails.
Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const WantedSegment& wanted);

// Reads and checks several segments at once and returns them in the order of `wanted`.
Result<std::vector<EncodedSegment>> read_stored_segments(SegmentReader& segments,
                                                         const std::vector<WantedSegment>& wanted,
                                                         const std::stop_token& stop);

}  // namespace ashlar
