#include "transfer/stored_segment.h"

#include "base/parallel.h"

namespace ashlar {

Status check_frames(const LocatedSegment& segment, ByteSpan payload) {
  AlignedBuffer blocks(kMaxFrameBlocks * kBlockBytes);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    const FrameEntry& frame = segment.directory.frames[i];
    if (frame.stored_bytes > payload.size() - offset) return corrupt("a segment's frames do not fit it");
    TRY(decode_verified(segment, i, payload.subspan(offset, frame.stored_bytes), thread_decoder(),
                        blocks.span().first(frame.block_count * kBlockBytes)));
    offset += frame.stored_bytes;
  }
  if (offset != payload.size()) return corrupt("a segment's frames do not fit it");
  return {};
}

Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const SegmentId& id) {
  const auto located = TRY(segments.locate(id));
  const auto pack = TRY(segments.pack(located->place.pack));
  EncodedSegment out;
  out.directory = located->directory;
  out.payload.resize(out.directory.payload_bytes());
  TRY(pack->read_raw(located->frame_offsets.front(), out.payload));
  TRY(check_frames(*located, out.payload));
  return out;
}

Result<std::vector<EncodedSegment>> read_stored_segments(SegmentReader& segments,
                                                         const std::vector<SegmentId>& ids,
                                                         const std::stop_token& stop) {
  std::vector<EncodedSegment> out(ids.size());
  TRY(parallel_for(ids.size(), processor_count(), stop, [&](std::size_t i) -> Status {
    out[i] = TRY(read_stored_segment(segments, ids[i]));
    return {};
  }));
  return out;
}

}  // namespace ashlar
