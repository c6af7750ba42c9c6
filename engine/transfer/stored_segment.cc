#include "transfer/stored_segment.h"

#include <algorithm>

#include "base/parallel.h"
#include "codec/hash.h"

namespace ashlar {

Status check_frames(const LocatedSegment& segment, ByteSpan payload) {
  AlignedBuffer blocks(kMaxFrameBlocks * kBlockBytes);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    const FrameEntry& frame = segment.directory.frames[i];
    if (frame.codec == FrameCodec::kAbsent) continue;
    if (frame.stored_bytes > payload.size() - offset) return corrupt("a segment's frames do not fit it");
    TRY(decode_verified(segment, i, payload.subspan(offset, frame.stored_bytes), thread_decoder(),
                        blocks.span().first(frame.block_count * kBlockBytes)));
    offset += frame.stored_bytes;
  }
  if (offset != payload.size()) return corrupt("a segment's frames do not fit it");
  return {};
}

namespace {

// Reads all frames of one place.
Result<EncodedSegment> read_at(SegmentReader& segments, const LocatedSegment& located) {
  const auto pack = TRY(segments.pack(located.place.pack));
  EncodedSegment out;
  out.directory = located.directory;
  out.payload.resize(out.directory.payload_bytes());
  TRY(pack->read_raw(located.frame_offsets.front(), out.payload));
  TRY(check_frames(located, out.payload));
  return out;
}

// Reads the segment frame by frame, divided as at its first place.
class Gathering {
 public:
  Gathering(SegmentReader& segments, std::vector<std::shared_ptr<const LocatedSegment>> places,
            const SegmentBlocks& wanted)
      : segments_(segments), places_(std::move(places)), wanted_(wanted) {}

  Result<EncodedSegment> run() {
    const LocatedSegment& model = *places_.front();
    out_.directory.id = model.directory.id;
    out_.directory.blocks = model.directory.blocks;
    for (std::size_t i = 0; i < model.directory.frames.size(); ++i)
      TRY(take(model.frame_first_block[i], model.directory.frames[i].block_count));
    return std::move(out_);
  }

 private:
  // A frame that is nowhere as it is wanted is read block by block, which also records what is damaged.
  Status take(std::size_t first, std::uint8_t count) {
    const MutableByteSpan blocks = blocks_.span().first(count * kBlockBytes);
    for (const auto& place : places_) {
      const std::size_t i = place->frame_of(first);
      const FrameEntry& frame = place->directory.frames[i];
      const bool is_same = place->frame_first_block[i] == first && frame.block_count == count;
      if (!is_same || frame.codec == FrameCodec::kAbsent) continue;
      if (take_at(*place, i, blocks).ok()) return {};
    }
    const bool is_wanted = (wanted_ & block_set(first, count)).any();
    const bool is_somewhere = std::ranges::any_of(
        places_, [&](const auto& place) { return (place->present & block_set(first, count)).any(); });
    Status read =
        is_wanted || is_somewhere ? segments_.read(*places_.front(), first, count, blocks) : Status();
    if (is_wanted && !read.ok()) return read;
    if (read.ok() && (is_wanted || is_somewhere)) {
      out_.directory.frames.push_back(
          {static_cast<std::uint32_t>(blocks.size()), FrameCodec::kRaw, count, checksum64(blocks)});
      out_.payload.insert(out_.payload.end(), blocks.begin(), blocks.end());
    } else {
      out_.directory.frames.push_back({0, FrameCodec::kAbsent, count, 0});
    }
    return {};
  }

  Status take_at(const LocatedSegment& place, std::size_t i, MutableByteSpan blocks) {
    const FrameEntry& frame = place.directory.frames[i];
    ByteVector stored(frame.stored_bytes);
    TRY(TRY(segments_.pack(place.place.pack))->read_raw(place.frame_offsets[i], stored));
    TRY(decode_verified(place, i, stored, thread_decoder(), blocks));
    out_.directory.frames.push_back(frame);
    out_.payload.insert(out_.payload.end(), stored.begin(), stored.end());
    return {};
  }

  SegmentReader& segments_;
  const std::vector<std::shared_ptr<const LocatedSegment>> places_;
  const SegmentBlocks wanted_;
  AlignedBuffer blocks_{kMaxFrameBlocks * kBlockBytes};
  EncodedSegment out_;
};

Result<EncodedSegment> gather(SegmentReader& segments, const WantedSegment& wanted) {
  return Gathering(segments, TRY(segments.locate_all(wanted.id)), wanted.blocks).run();
}

}  // namespace

Result<EncodedSegment> read_stored_segment(SegmentReader& segments, const WantedSegment& wanted) {
  const auto first = TRY(segments.locate(wanted.id));
  auto whole = read_at(segments, *first);
  if (whole.ok() && first->present == block_set(0, first->directory.blocks.size())) return whole;
  auto gathered = gather(segments, wanted);
  if (gathered.ok()) return gathered;
  TRY(segments.look_again(wanted.id));  // a collection may have moved it
  return gather(segments, wanted);
}

Result<std::vector<EncodedSegment>> read_stored_segments(SegmentReader& segments,
                                                         const std::vector<WantedSegment>& wanted,
                                                         const std::stop_token& stop) {
  std::vector<EncodedSegment> out(wanted.size());
  TRY(parallel_for(wanted.size(), processor_count(), stop, [&](std::size_t i) -> Status {
    out[i] = TRY(read_stored_segment(segments, wanted[i]));
    return {};
  }));
  return out;
}

}  // namespace ashlar
