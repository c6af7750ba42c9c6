// Segments as they are stored: a directory and compressed frames, moved without being compressed again.
#pragma once

#include "store/segments.h"

namespace ashlar {

// Decodes every frame and compares each block with its id. Any thread.
Status check_frames(const LocatedSegment& segment, ByteSpan payload);

// A segment of a store, checked.
Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const SegmentId& id);

}  // namespace ashlar
