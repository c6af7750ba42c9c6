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

namespace {

Result<EncodedSegment> read_at(SegmentReader& segments, const LocatedSegment& located) {
  const auto pack = TRY(segments.pack(located.place.pack));
  EncodedSegment out;
  out.directory = located.directory;
  out.payload.resize(out.directory.payload_bytes());
  TRY(pack->read_raw(located.frame_offsets.front(), out.payload));
  const Status right = check_frames(located, out.payload);
  if (right.ok()) return out;
  // The reader records what it finds wrong.
  AlignedBuffer blocks(out.directory.blocks.size() * kBlockBytes);
  best_effort(segments.read(located, 0, out.directory.blocks.size(), blocks.span()));
  return right.error();
}

}  // namespace

// Takes the first place in which all frames are right. When there is none, the error of the first place says
// what is damaged.
Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const SegmentId& id) {
  auto first = read_at(segments, *TRY(segments.locate(id)));
  if (first.ok()) return first;
  for (const auto& place : TRY(segments.locate_all(id))) {
    auto other = read_at(segments, *place);
    if (other.ok()) return other;
  }
  return first;
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
