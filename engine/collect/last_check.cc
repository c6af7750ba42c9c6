#include "collect/last_check.h"

#include <algorithm>

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
  if (is(checked, ErrorCode::kCorrupt)) return all_is_elsewhere(pack.id, stop);
  return checked;
}

namespace {

template <class Places>
bool is_at(const Places& places, const PackId& pack) {
  return std::ranges::any_of(places, [&](const auto& place) { return place.pack == pack; });
}

}  // namespace

// Only the index knows what a pack holds whose ends are damaged. So all that is needed has to be in packs
// that stay. What the index says of this pack is read there; everything is, when the index does not know the
// pack.
Result<bool> LastCheck::all_is_elsewhere(const PackId& pack, const std::stop_token& stop) {
  const bool knows = TRY(index_.has_pack(pack));
  for (const NodeId& id : live_.needed_nodes()) {
    const auto places = TRY(index_.node_places(id));
    const bool stays =
        std::ranges::any_of(places, [&](const NodePlace& place) { return !condemned_.contains(place.pack); });
    if (!stays || ((!knows || is_at(places, pack)) && !TRY(is_elsewhere(id)))) return false;
  }
  for (const SegmentId& id : live_.needed_segments()) {
    const auto places = TRY(index_.segment_places(id));
    const bool found = !knows || is_at(places, pack) ? TRY(is_elsewhere(id, live_.blocks(id), stop))
                                                     : TRY(is_present(places, live_.blocks(id)));
    if (!found) return false;
  }
  return true;
}

// Returns whether the directories of packs that stay say that they hold the blocks.
Result<bool> LastCheck::is_present(const std::vector<SegmentPlace>& places, SegmentBlocks wanted) {
  for (const SegmentPlace& place : places) {
    if (condemned_.contains(place.pack)) continue;
    const auto segment = segments_.locate_at(place);
    if (!segment.ok() && !says_lost(segment.error())) return segment.error();
    if (segment.ok()) wanted &= ~segment.value()->present;
  }
  return wanted.none();
}

Result<bool> LastCheck::data_is_elsewhere(const PackId& id, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kData, id));
  const DataPackTail tail = TRY(pack->read_tail());
  for (const SegmentEntry& entry : tail.entries()) {
    const SegmentBlocks live = live_.blocks(entry.id);
    if (live.none()) continue;
    auto directory = tail.directory(entry);
    SegmentBlocks wanted = live;  // of a segment whose directory is damaged, all that is needed
    if (!is(directory, ErrorCode::kCorrupt))
      wanted &= locate_segment({id, entry}, TRY(std::move(directory)))->present;
    if (!TRY(is_elsewhere(entry.id, wanted, stop))) return false;
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

Result<bool> LastCheck::is_elsewhere(const NodeId& id) {
  for (const NodePlace& place : TRY(index_.node_places(id))) {
    if (condemned_.contains(place.pack)) continue;
    const auto pack = WholePackReader::open(objects_, PackKind::kMeta, place.pack);
    const auto node = pack.ok() ? pack.value()->read_node(place.entry) : Result<ByteVector>(pack.error());
    if (node.ok()) return true;
    if (!says_lost(node.error())) return node.error();
  }
  return false;
}

Result<bool> LastCheck::nodes_are_elsewhere(const PackId& id, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kMeta, id));
  for (const NodeEntry& entry : TRY(pack->nodes())) {
    if (!live_.needs(entry.id)) continue;
    TRY(pace_.move(entry.bytes, stop));
    if (!TRY(is_elsewhere(entry.id))) return false;
  }
  return true;
}

}  // namespace ashlar
