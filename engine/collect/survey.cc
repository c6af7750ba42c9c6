#include "collect/survey.h"

#include <algorithm>

#include "pack/pack_store.h"
#include "store/place_errors.h"

namespace ashlar {

SegmentBlocks whole_frames(const LocatedSegment& segment, const SegmentBlocks& blocks) {
  SegmentBlocks whole;
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    const SegmentBlocks frame =
        block_set(segment.frame_first_block[i], segment.directory.frames[i].block_count);
    if ((frame & blocks).any()) whole |= frame;
  }
  return whole & segment.present;
}

namespace {

std::uint64_t stored_bytes(const LocatedSegment& segment, const SegmentBlocks& frames) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    if (frames.test(segment.frame_first_block[i])) bytes += segment.directory.frames[i].stored_bytes;
  }
  return bytes;
}

// A pack that is damaged can't be judged, and one that is gone needs no judgement; other errors say nothing.
Result<PackUse> judged(Result<PackUse> use, const PackUse& before) {
  if (use.ok() || !says_lost(use.error())) return use;
  PackUse unread = before;
  unread.is_damaged = is(use, ErrorCode::kCorrupt);
  unread.is_unreadable = unread.is_damaged;
  unread.is_gone = !unread.is_damaged;
  return unread;
}

}  // namespace

Result<PackUse> Survey::use_of(const PackName& pack, std::uint64_t bytes, const std::stop_token& stop) {
  PackUse use;
  use.pack = pack;
  use.bytes = bytes;
  use.has_damage = damage_.has_damage(pack.id);
  return judged(pack.kind == PackKind::kData ? use_of_data(use, stop) : use_of_meta(use, stop), use);
}

Result<PackUse> Survey::use_of_data(PackUse use, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kData, use.pack.id));
  const DataPackTail tail = TRY(pack->read_tail());
  for (const SegmentEntry& entry : tail.entries()) {
    TRY(pace_.move(entry.directory_bytes, stop));
    auto directory = tail.directory(entry);
    if (is(directory, ErrorCode::kCorrupt)) {
      // The frames of the segment can't be told apart any more.
      use.has_damage = true;
      use.is_damaged =
          use.is_damaged || (live_.blocks(entry.id).any() && !TRY(is_outside(entry.id, {use.pack.id})));
      continue;
    }
    const auto segment = locate_segment({use.pack.id, entry}, TRY(std::move(directory)));
    const SegmentBlocks frames = TRY(needed(*segment));
    // The needed frames that are damaged here are damaged wherever they are.
    use.is_damaged = use.is_damaged || (frames & segments_.damaged_blocks(*segment)).any();
    if (frames.any())
      use.live_bytes += entry.directory_bytes + kSegmentEntryBytes + stored_bytes(*segment, frames);
  }
  if (use.live_bytes > 0) use.live_bytes += kPackHeaderBytes + kPackTrailerBytes;
  return use;
}

Result<PackUse> Survey::use_of_meta(PackUse use, const std::stop_token& stop) {
  const auto pack = TRY(WholePackReader::open(objects_, PackKind::kMeta, use.pack.id));
  for (const NodeEntry& entry : TRY(pack->nodes())) {
    TRY(pace_.move(kNodeEntryBytes, stop));
    if (TRY(is_needed(entry.id, use.pack.id))) use.live_bytes += entry.bytes + kNodeEntryBytes;
  }
  if (use.live_bytes > 0) use.live_bytes += kPackHeaderBytes + kPackTrailerBytes;
  return use;
}

Result<SegmentBlocks> Survey::needed(const LocatedSegment& segment) {
  const SegmentId& id = segment.directory.id;
  const SegmentBlocks live = live_.blocks(id) & segment.present;
  if (live.none()) return live;
  const std::lock_guard lock(mutex_);
  auto shares = shared_.find(id);
  if (shares == shared_.end()) {
    const auto places = TRY(index_.segment_places(id));
    if (places.size() <= 1) return whole_frames(segment, live);
    shares = shared_.emplace(id, TRY(share_out(id, live_.blocks(id)))).first;
  }
  const auto share = shares->second.find(segment.place.pack);
  // A place that the index does not know has no share of its own: all of it that is needed stays.
  const bool is_known = share != shares->second.end();
  return is_known ? share->second : whole_frames(segment, live);
}

// Gives each needed block to one place: first to the place that holds most of them, and of equal ones to the
// one with the least that is not needed, so that what a collection has rewritten wins over what it came from.
Result<Survey::Shares> Survey::share_out(const SegmentId& id, const SegmentBlocks& live) {
  auto places = TRY(segments_.locate_all(id));
  Shares shares;
  std::erase_if(places, [&](const auto& place) { return !segments_.check_ends(place->place.pack).ok(); });
  std::ranges::sort(places, [&](const auto& a, const auto& b) {
    const auto rank = [&](const LocatedSegment& place) {
      const std::size_t sound = (place.present & live & ~segments_.damaged_blocks(place)).count();
      return std::tuple(kSegmentBlocks - sound, (place.present & ~live).count(), place.place.pack);
    };
    return rank(*a) < rank(*b);
  });
  SegmentBlocks left = live;
  // Damaged copies come last: a block that is damaged wherever it is stays where it is.
  for (const bool takes_damaged : {false, true}) {
    for (const auto& place : places) {
      const SegmentBlocks taken = takes_damaged ? left : left & ~segments_.damaged_blocks(*place);
      const SegmentBlocks frames = whole_frames(*place, taken & place->present);
      shares[place->place.pack] |= frames;
      left &= ~frames;
    }
  }
  return shares;
}

Result<bool> Survey::is_all_outside(const std::set<PackId>& packs, const std::stop_token& stop) {
  for (const NodeId& id : live_.needed_nodes()) {
    if (stop.stop_requested()) return cancelled();
    if (!TRY(is_outside(id, packs))) return false;
  }
  for (const SegmentId& id : live_.needed_segments()) {
    if (stop.stop_requested()) return cancelled();
    if (!TRY(is_outside(id, packs))) return false;
  }
  return true;
}

Result<bool> Survey::is_outside(const NodeId& id, const std::set<PackId>& packs) {
  const auto places = TRY(index_.node_places(id));
  return std::ranges::any_of(places, [&](const NodePlace& place) {
    return !packs.contains(place.pack) && !damage_.is_damaged(place.pack, id);
  });
}

Result<bool> Survey::is_outside(const SegmentId& id, const std::set<PackId>& packs) {
  SegmentBlocks left = live_.blocks(id);
  const auto places = segments_.locate_all(id);
  if (!places.ok()) return says_lost(places.error()) ? Result<bool>(false) : places.error();
  for (const auto& place : places.value()) {
    if (!packs.contains(place->place.pack)) left &= ~(place->present & ~segments_.damaged_blocks(*place));
  }
  return left.none();
}

Result<bool> Survey::is_needed(const NodeId& node, const PackId& pack) {
  if (!live_.needs(node)) return false;
  const auto places = TRY(index_.node_places(node));
  if (places.size() <= 1) return true;
  for (const NodePlace& place : places) {
    if (damage_.is_damaged(place.pack, node)) continue;
    const auto reader = WholePackReader::open(objects_, PackKind::kMeta, place.pack);
    if (reader.ok() && reader.value()->read_node(place.entry).ok()) return place.pack == pack;
  }
  return true;
}

}  // namespace ashlar
