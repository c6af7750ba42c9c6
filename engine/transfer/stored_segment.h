// Stored segments: a directory and compressed frames, copied without compressing them again.
// Internal to the module.
#pragma once

#include <stop_token>
#include <vector>

#include "store/segments.h"

namespace ashlar {

// Decodes every frame and compares each block with its id. Any thread.
Status check_frames(const LocatedSegment& segment, ByteSpan payload);

// Reads and checks a segment of a store.
Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const SegmentId& id);

// Reads and checks several segments at once and returns them in the order of `ids`.
Result<std::vector<EncodedSegment>> read_stored_segments(SegmentReader& segments,
                                                         const std::vector<SegmentId>& ids,
                                                         const std::stop_token& stop);

}  // namespace ashlar
