#include "collect/last_check.h"

#include "collect/survey.h"
#include "pack/pack_store.h"
#include "store/place_errors.h"

namespace ashlar {

// Damage keeps a pack. Any other error is one of this run: it frees nothing.
Result<bool> LastCheck::may_be_freed(const PackName& pack, const std::stop_token& stop) {
  auto checked =
      pack.kind == PackKind::kData ? data_is_elsewhere(pack.id, stop) : nodes_are_elsewhere(pack.id, stop);
  if (is(checked, ErrorCode::kNotFound))
    return is(objects_.stat(pack_key(pack.kind, pack.id)), ErrorCode::kNotFound);
  if (is(checked, ErrorCode::kCorrupt)) return false;
  return checked;
}

Result<bool> LastCheck::data_is_elsewhere(const PackId& id, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kData, id));
  const DataPackTail tail = TRY(pack->read_tail());
  for (const SegmentEntry& entry : tail.entries()) {
    const SegmentBlocks live = live_.blocks(entry.id);
    if (live.none()) continue;
    const auto segment = locate_segment({id, entry}, TRY(tail.directory(entry)));
    if (!TRY(is_elsewhere(entry.id, live & segment->present, stop))) return false;
  }
  return true;
}

Result<bool> LastCheck::is_elsewhere(const SegmentId& id, SegmentBlocks wanted, const std::stop_token& stop) {
  for (const SegmentPlace& place : TRY(index_.segment_places(id))) {
    if (wanted.none()) break;
    if (condemned_.contains(place.pack)) continue;
    const auto pack = WholePackReader::open(objects_, PackKind::kData, place.pack);
    if (!pack.ok()) {
      if (!says_lost(pack.error())) return pack.error();
      continue;
    }
    const auto directory = pack.value()->read_directory(place.entry);
    if (!directory.ok()) {
      if (!says_lost(directory.error())) return directory.error();
      continue;
    }
    const auto segment = locate_segment(place, directory.value());
    wanted &= ~TRY(sound_blocks(*segment, wanted, stop));
  }
  return wanted.none();
}

// Reads the frames that hold wanted blocks and returns the blocks of those that are right.
Result<SegmentBlocks> LastCheck::sound_blocks(const LocatedSegment& segment, const SegmentBlocks& wanted,
                                              const std::stop_token& stop) {
  SegmentBlocks sound;
  const SegmentBlocks frames = whole_frames(segment, wanted);
  const auto pack = TRY(segments_.pack(segment.place.pack));
  AlignedBuffer blocks(kMaxFrameBlocks * kBlockBytes);
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    const FrameEntry& frame = segment.directory.frames[i];
    const std::size_t first = segment.frame_first_block[i];
    if (!frames.test(first)) continue;
    TRY(pace_.move(frame.stored_bytes, stop));
    ByteVector stored(frame.stored_bytes);
    Status read = pack->read_raw(segment.frame_offsets[i], stored);
    if (read.ok())
      read = decode_verified(segment, i, stored, thread_decoder(),
                             blocks.span().first(frame.block_count * kBlockBytes));
    if (read.ok()) {
      sound |= block_set(first, frame.block_count);
    } else if (!says_lost(read.error())) {
      return read.take_error();
    }
  }
  return sound;
}

Result<bool> LastCheck::nodes_are_elsewhere(const PackId& id, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kMeta, id));
  for (const NodeEntry& entry : TRY(pack->nodes())) {
    if (!live_.needs(entry.id)) continue;
    TRY(pace_.move(entry.bytes, stop));
    bool is_found = false;
    for (const NodePlace& place : TRY(index_.node_places(entry.id))) {
      if (condemned_.contains(place.pack)) continue;
      const auto other = WholePackReader::open(objects_, PackKind::kMeta, place.pack);
      const auto node =
          other.ok() ? other.value()->read_node(place.entry) : Result<ByteVector>(other.error());
      is_found = node.ok();
      if (is_found) break;
      if (!says_lost(node.error())) return node.error();
    }
    if (!is_found) return false;
  }
  return true;
}

}  // namespace ashlar
