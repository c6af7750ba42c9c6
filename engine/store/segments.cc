#include "store/segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "base/lru_cache.h"
#include "codec/hash.h"
#include "store/place_errors.h"

namespace ashlar {
namespace {

constexpr std::size_t kDirectories = 1024;  // 33 KB each
constexpr std::size_t kOpenPacks = 128;

}  // namespace

FrameDecoder& thread_decoder() {
  thread_local FrameDecoder decoder;
  return decoder;
}

SegmentBlocks block_set(std::size_t first, std::size_t count) {
  const SegmentBlocks all = ~SegmentBlocks();
  return count == 0 ? SegmentBlocks() : all >> (kSegmentBlocks - count) << first;
}

std::shared_ptr<const LocatedSegment> locate_segment(const SegmentPlace& place, SegmentDirectory directory) {
  auto segment = std::make_shared<LocatedSegment>();
  segment->place = place;
  std::uint64_t offset = place.entry.payload_offset;
  std::uint16_t block = 0;
  for (const FrameEntry& frame : directory.frames) {
    segment->frame_offsets.push_back(offset);
    segment->frame_first_block.push_back(block);
    if (frame.codec != FrameCodec::kAbsent) segment->present |= block_set(block, frame.block_count);
    offset += frame.stored_bytes;
    block = static_cast<std::uint16_t>(block + frame.block_count);
  }
  segment->directory = std::move(directory);
  return segment;
}

std::size_t LocatedSegment::frame_of(std::size_t block) const {
  const auto behind = std::upper_bound(frame_first_block.begin(), frame_first_block.end(), block);
  return static_cast<std::size_t>(behind - frame_first_block.begin()) - 1;
}

SegmentBlocks blocks_of(const LocatedSegment& segment, const FrameSet& frames) {
  SegmentBlocks blocks;
  if (frames.none()) return blocks;
  for (std::size_t i = 0; i < segment.directory.frames.size(); ++i) {
    if (frames[i]) blocks |= block_set(segment.frame_first_block[i], segment.directory.frames[i].block_count);
  }
  return blocks;
}

std::string describe_frame(const LocatedSegment& segment, std::size_t frame) {
  return fmt::format("pack {}, segment {}, frame {}", segment.place.pack.hex(), segment.directory.id.hex(),
                     frame);
}

Status decode_verified(const LocatedSegment& segment, std::size_t frame, ByteSpan stored,
                       FrameDecoder& decoder, MutableByteSpan blocks) {
  const FrameEntry& entry = segment.directory.frames[frame];
  CHECK(stored.size() == entry.stored_bytes && blocks.size() == entry.block_count * kBlockBytes);
  if (entry.codec == FrameCodec::kAbsent)
    return corrupt(fmt::format("{}: was dropped by a collection", describe_frame(segment, frame)));
  if (checksum64(stored) != entry.checksum) {
    return corrupt(fmt::format("{}: checksum does not match", describe_frame(segment, frame)));
  }
  TRY(decoder.decode(entry.codec, stored, blocks).with_context(describe_frame(segment, frame)));
  const std::size_t first = segment.frame_first_block[frame];
  for (std::size_t i = 0; i < entry.block_count; ++i) {
    if (block_id(blocks.subspan(i * kBlockBytes, kBlockBytes)) != segment.directory.blocks[first + i]) {
      return corrupt(
          fmt::format("{}: block {} does not match its id", describe_frame(segment, frame), first + i));
    }
  }
  return {};
}

struct SegmentReader::State {
  State(ObjectStore& o, Index& i, DamagedFrames* d) : objects(o), index(i), damage(d) {}

  ObjectStore& objects;
  Index& index;
  DamagedFrames* damage;
  std::mutex mutex;
  LruCache<SegmentId, std::shared_ptr<const LocatedSegment>, IdHash> directories{kDirectories};
  LruCache<PackId, std::shared_ptr<PackReader>, IdHash> packs{kOpenPacks};
  std::set<PackId> whole;  // packs whose header and trailer were found right
};

SegmentReader::SegmentReader(ObjectStore& objects, Index& index, DamagedFrames* damage)
    : state_(std::make_unique<State>(objects, index, damage)) {}
SegmentReader::~SegmentReader() = default;

Result<std::shared_ptr<PackReader>> SegmentReader::pack(const PackId& id) {
  {
    const std::lock_guard lock(state_->mutex);
    if (auto* held = state_->packs.get(id)) return *held;
  }
  auto opened = TRY(PackReader::open(state_->objects, PackKind::kData, id));
  const std::lock_guard lock(state_->mutex);
  state_->packs.put(id, opened);
  return opened;
}

Status SegmentReader::check_ends(const PackId& id) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->whole.contains(id)) return {};
  }
  TRY(WholePackReader::open(state_->objects, PackKind::kData, id));
  const std::lock_guard lock(state_->mutex);
  state_->whole.insert(id);
  return {};
}

namespace {

Error in_no_pack(const Index& index, const SegmentId& id) {
  return index.missing(fmt::format("segment {} is in no pack of this store", id.hex()));
}

}  // namespace

Result<SegmentPlace> SegmentReader::place_of(const SegmentId& id) const {
  for (const bool caught_up : {false, true}) {
    if (caught_up) TRY(state_->index.look_again(id));
    if (const auto place = TRY(state_->index.find_segment(id))) return *place;
  }
  return in_no_pack(state_->index, id);
}

Result<SegmentReader::Located> SegmentReader::read_directory(const SegmentPlace& place) {
  const auto reader = TRY(pack(place.pack));
  return locate_segment(
      place, TRY(reader->read_directory(place.entry).with_context(pack_key(PackKind::kData, place.pack))));
}

void SegmentReader::cache(const SegmentId& id, Located segment) {
  const std::lock_guard lock(state_->mutex);
  state_->directories.put(id, std::move(segment));
}

Result<std::shared_ptr<const LocatedSegment>> SegmentReader::locate(const SegmentId& id) {
  {
    const std::lock_guard lock(state_->mutex);
    if (auto* held = state_->directories.get(id)) return *held;
  }
  PlaceErrors errors;
  for (const bool caught_up : {false, true}) {
    if (caught_up) TRY(state_->index.look_again(id));
    for (const SegmentPlace& place : TRY(state_->index.segment_places(id))) {
      auto segment = read_directory(place);
      if (segment.ok()) {
        cache(id, segment.value());
        return segment;
      }
      errors.note(segment.take_error());
    }
  }
  return errors.any() ? errors.decisive() : in_no_pack(state_->index, id);
}

Status SegmentReader::look_again(const SegmentId& id) { return state_->index.look_again(id); }

Result<std::vector<SegmentReader::Located>> SegmentReader::locate_all(const SegmentId& id) {
  std::vector<Located> found;
  PlaceErrors errors;
  for (const SegmentPlace& place : TRY(state_->index.segment_places(id))) {
    auto segment = read_directory(place);
    if (segment.ok()) {
      found.push_back(segment.take());
    } else {
      errors.note(segment.take_error());
    }
  }
  if (!found.empty()) return found;
  return errors.any() ? errors.decisive() : in_no_pack(state_->index, id);
}

SegmentBlocks SegmentReader::damaged_blocks(const LocatedSegment& segment) const {
  if (state_->damage == nullptr || !state_->damage->any()) return {};
  return blocks_of(segment, state_->damage->damaged(segment.place.pack, segment.directory.id));
}

Status SegmentReader::check_not_lost(const LocatedSegment& segment, std::size_t first,
                                     std::size_t last) const {
  if (state_->damage == nullptr || !state_->damage->any()) return {};
  const FrameSet lost = state_->damage->lost(segment.place.pack, segment.directory.id);
  for (std::size_t frame = first; frame <= last; ++frame) {
    if (lost[frame]) return corrupt(fmt::format("{}: was given up as lost", describe_frame(segment, frame)));
  }
  return {};
}

// A directory that is hearsay may be that of another pack, and an absent frame is gone on purpose.
void SegmentReader::report(const LocatedSegment& segment, std::size_t frame, const Error& error) {
  const bool is_damage = error.code() == ErrorCode::kCorrupt && !segment.is_hearsay &&
                         segment.directory.frames[frame].codec != FrameCodec::kAbsent;
  if (!is_damage || state_->damage == nullptr) return;
  state_->damage->report(segment.place.pack, segment.directory.id, frame, error.text());
}

Result<SoundSegment> SegmentReader::locate_sound(const SegmentId& id, LeanedPacks& leaned,
                                                 DamagedPlaces damaged) {
  Located held;
  {
    const std::lock_guard lock(state_->mutex);
    const auto* cached = state_->directories.get(id);
    if (cached != nullptr && !(*cached)->is_hearsay) held = *cached;
  }
  PlaceErrors errors;
  for (const bool caught_up : {false, true}) {
    if (caught_up) TRY(state_->index.look_again(id));
    SoundSegment sound;
    bool has_moved = false;
    for (const SegmentPlace& place : TRY(state_->index.segment_places(id))) {
      const bool is_left_out = damaged == DamagedPlaces::kLeftOut && state_->damage != nullptr &&
                               state_->damage->is_whole(place.pack);
      const Status ends =
          is_left_out ? corrupt(fmt::format("pack {} is damaged", place.pack.hex())) : check_ends(place.pack);
      auto segment = !ends.ok()                     ? Result<Located>(ends.error())
                     : held && held->place == place ? Result<Located>(held)
                                                    : read_directory(place);
      if (!segment.ok()) {
        has_moved = has_moved || is(segment, ErrorCode::kNotFound);
        errors.note(segment.take_error());
        continue;
      }
      const Located found = segment.take();
      if (!held) cache(id, found);
      SegmentBlocks present = found->present;
      if (damaged == DamagedPlaces::kLeftOut) present &= ~damaged_blocks(*found);
      if (sound.segment && (present & ~sound.present).none()) continue;
      if (!TRY(leaned.lean_on(PackKind::kData, place.pack))) {
        has_moved = true;
        continue;
      }
      if (!sound.segment) sound.segment = found;
      sound.present |= present;
      if (sound.present == block_set(0, found->directory.blocks.size())) return sound;
    }
    if (sound.segment) return sound;
    if (!has_moved) break;
  }
  if (errors.any()) return errors.decisive();
  return corrupt(fmt::format("segment {} is in no pack of this store", id.hex()));
}

Result<std::shared_ptr<const LocatedSegment>> SegmentReader::remember(SegmentDirectory directory) {
  TRY(place_of(directory.id));
  const auto places = TRY(state_->index.segment_places(directory.id));
  const auto fitting = std::ranges::find_if(places, [&](const SegmentPlace& place) {
    return directory.encoded_bytes() == place.entry.directory_bytes &&
           directory.blocks.size() == place.entry.block_count &&
           directory.payload_bytes() == place.entry.payload_bytes;
  });
  if (fitting == places.end())
    return corrupt(fmt::format("segment {} is stored in another form", directory.id.hex()));
  const SegmentPlace place = *fitting;
  const SegmentId id = directory.id;
  auto segment = std::make_shared<LocatedSegment>(*locate_segment(place, std::move(directory)));
  segment->is_hearsay = true;
  const std::lock_guard lock(state_->mutex);
  if (auto* held = state_->directories.get(id)) {
    if ((*held)->directory.frames == segment->directory.frames) return *held;
    return corrupt(fmt::format("segment {} has other frames in its pack", id.hex()));
  }
  state_->directories.put(id, segment);
  return std::shared_ptr<const LocatedSegment>(segment);
}

void SegmentReader::forget(const SegmentId& id) {
  const std::lock_guard lock(state_->mutex);
  const auto* held = state_->directories.get(id);
  if (held != nullptr && (*held)->is_hearsay) state_->directories.remove(id);
}

namespace {

// Frames [first, last] of a segment, read with one request.
struct FrameRun {
  std::size_t first = 0;
  std::size_t last = 0;
  ByteVector stored;
};

Result<FrameRun> read_frames(PackReader& pack, const LocatedSegment& segment, std::size_t first,
                             std::size_t last) {
  FrameRun run{first, last, {}};
  const std::uint64_t begin = segment.frame_offsets[first];
  run.stored.resize(segment.frame_offsets[last] + segment.directory.frames[last].stored_bytes - begin);
  TRY(pack.read_raw(begin, run.stored));
  return run;
}

ByteSpan stored_frame(const FrameRun& run, const LocatedSegment& segment, std::size_t frame) {
  return ByteSpan(run.stored)
      .subspan(segment.frame_offsets[frame] - segment.frame_offsets[run.first],
               segment.directory.frames[frame].stored_bytes);
}

}  // namespace

Status SegmentReader::read(const LocatedSegment& segment, std::size_t first, std::size_t count,
                           MutableByteSpan out) {
  CHECK(count > 0 && out.size() == count * kBlockBytes);
  if (first + count > segment.directory.blocks.size()) return corrupt("an extent runs past its segment");
  const bool is_damaged = (damaged_blocks(segment) & block_set(first, count)).any();
  if (is_damaged && read_undamaged(segment.directory.id, first, count, out).ok()) return {};
  const Status read = read_at(segment, first, count, out);
  if (read.ok()) return {};
  return read_elsewhere(segment, first, count, out, read.error());
}

Status SegmentReader::read_undamaged(const SegmentId& id, std::size_t first, std::size_t count,
                                     MutableByteSpan out) {
  std::vector<Located> undamaged;
  for (Located& place : TRY(locate_all(id))) {
    const SegmentBlocks usable = place->present & ~damaged_blocks(*place);
    if ((usable & block_set(first, count)).any()) undamaged.push_back(std::move(place));
  }
  PlaceErrors errors;
  const auto is_usable = [this](const LocatedSegment& place, std::size_t block) {
    return place.present[block] && !damaged_blocks(place)[block];
  };
  return read_pieces(undamaged, first, count, out, is_usable, errors);
}

// Takes each piece from the first place that has it.
Status SegmentReader::read_elsewhere(const LocatedSegment& segment, std::size_t first, std::size_t count,
                                     MutableByteSpan out, Error error) {
  const SegmentId id = segment.directory.id;
  for (const bool caught_up : {false, true}) {
    if (caught_up) TRY(state_->index.look_again(id));
    PlaceErrors errors;
    errors.note(error);
    const auto places = TRY(state_->index.segment_places(id));
    if (places.size() == 1 && places.front() == segment.place && !segment.is_hearsay) continue;
    const auto others = locate_all(id);
    if (!others.ok()) {
      errors.note(others.error());
      if (caught_up) return errors.decisive();
      continue;
    }
    const auto any = [](const LocatedSegment&, std::size_t) { return true; };
    if (read_pieces(others.value(), first, count, out, any, errors).ok()) return {};
    if (caught_up) return errors.decisive();
  }
  return error;
}

// Goes from one frame border of any of the places to the next. `is_usable` says of which places a piece may
// be read. What failed is noted in `errors`.
Status SegmentReader::read_pieces(const std::vector<Located>& places, std::size_t first, std::size_t count,
                                  MutableByteSpan out, const PieceFilter& is_usable, PlaceErrors& errors) {
  std::set<std::size_t> used;
  for (std::size_t at = first; at < first + count;) {
    std::size_t end = first + count;
    for (const Located& place : places) {
      const std::size_t frame = place->frame_of(at);
      end = std::min<std::size_t>(
          end, place->frame_first_block[frame] + place->directory.frames[frame].block_count);
    }
    const MutableByteSpan piece = out.subspan((at - first) * kBlockBytes, (end - at) * kBlockBytes);
    bool found = false;
    for (std::size_t i = 0; i < places.size() && !found; ++i) {
      if (!is_usable(*places[i], at)) continue;
      const Status read = read_at(*places[i], at, end - at, piece);
      found = read.ok();
      if (found) {
        used.insert(i);
      } else {
        errors.note(read.error());
      }
    }
    if (!found) return corrupt("a piece of a segment is in no place");
    at = end;
  }
  // Later reads begin where all of this one was found.
  if (used.size() == 1) cache(places[*used.begin()]->directory.id, places[*used.begin()]);
  return {};
}

Status SegmentReader::read_at(const LocatedSegment& segment, std::size_t first, std::size_t count,
                              MutableByteSpan out) {
  const auto reader = TRY(pack(segment.place.pack));
  const std::size_t last_frame = segment.frame_of(first + count - 1);
  TRY(check_not_lost(segment, segment.frame_of(first), last_frame));
  const FrameRun run = TRY(read_frames(*reader, segment, segment.frame_of(first), last_frame));
  const auto decode = [&](std::size_t frame, MutableByteSpan blocks) {
    Status decoded =
        decode_verified(segment, frame, stored_frame(run, segment, frame), thread_decoder(), blocks);
    if (!decoded.ok()) report(segment, frame, decoded.error());
    return decoded;
  };
  AlignedBuffer edge;  // holds a frame of which only a part is wanted
  for (std::size_t frame = run.first; frame <= run.last; ++frame) {
    const std::size_t frame_first = segment.frame_first_block[frame];
    const std::size_t frame_count = segment.directory.frames[frame].block_count;
    if (frame_first >= first && frame_first + frame_count <= first + count) {
      TRY(decode(frame, out.subspan((frame_first - first) * kBlockBytes, frame_count * kBlockBytes)));
      continue;
    }
    if (edge.size() < frame_count * kBlockBytes) edge = AlignedBuffer(kMaxFrameBlocks * kBlockBytes);
    const MutableByteSpan blocks = edge.span().first(frame_count * kBlockBytes);
    TRY(decode(frame, blocks));
    const std::size_t from = std::max(first, frame_first);
    const std::size_t to = std::min(first + count, frame_first + frame_count);
    std::memcpy(out.data() + (from - first) * kBlockBytes, blocks.data() + (from - frame_first) * kBlockBytes,
                (to - from) * kBlockBytes);
  }
  return {};
}

}  // namespace ashlar
