// Segments as they are stored: a directory and compressed frames, moved without being compressed again.
#pragma once

#include <stop_token>
#include <vector>

#include "store/segments.h"

namespace ashlar {

// Decodes every frame and compares each block with its id. Any thread.
Status check_frames(const LocatedSegment& segment, ByteSpan payload);

// A segment of a store, checked.
Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const SegmentId& id);

// The same of several at once, in the order of `ids`.
Result<std::vector<EncodedSegment>> read_stored_segments(SegmentReader& segments,
                                                         const std::vector<SegmentId>& ids,
                                                         const std::stop_token& stop);

}  // namespace ashlar
