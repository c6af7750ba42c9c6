#include "store/segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "base/lru_cache.h"
#include "codec/hash.h"

namespace ashlar {
namespace {

constexpr std::size_t kDirectories = 1024;  // 33 KB each
constexpr std::size_t kOpenPacks = 128;

}  // namespace

FrameDecoder& thread_decoder() {
  thread_local FrameDecoder decoder;
  return decoder;
}

std::shared_ptr<const LocatedSegment> locate_segment(const SegmentPlace& place, SegmentDirectory directory) {
  auto segment = std::make_shared<LocatedSegment>();
  segment->place = place;
  std::uint64_t offset = place.entry.payload_offset;
  std::uint16_t block = 0;
  for (const FrameEntry& frame : directory.frames) {
    segment->frame_offsets.push_back(offset);
    segment->frame_first_block.push_back(block);
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

std::string describe_frame(const LocatedSegment& segment, std::size_t frame) {
  return fmt::format("pack {}, segment {}, frame {}", segment.place.pack.hex(), segment.directory.id.hex(),
                     frame);
}

Status decode_verified(const LocatedSegment& segment, std::size_t frame, ByteSpan stored,
                       FrameDecoder& decoder, MutableByteSpan blocks) {
  const FrameEntry& entry = segment.directory.frames[frame];
  CHECK(stored.size() == entry.stored_bytes && blocks.size() == entry.block_count * kBlockBytes);
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
  State(ObjectStore& o, Index& i) : objects(o), index(i) {}

  ObjectStore& objects;
  Index& index;
  std::mutex mutex;
  LruCache<SegmentId, std::shared_ptr<const LocatedSegment>, IdHash> directories{kDirectories};
  LruCache<PackId, std::shared_ptr<PackReader>, IdHash> packs{kOpenPacks};
  std::set<PackId> whole;  // packs whose header and trailer were found right
};

SegmentReader::SegmentReader(ObjectStore& objects, Index& index)
    : state_(std::make_unique<State>(objects, index)) {}
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

Result<bool> SegmentReader::is_whole(const PackId& id) {
  Status ends = check_ends(id);
  if (is(ends, ErrorCode::kCorrupt) || is(ends, ErrorCode::kNotFound)) return false;
  TRY(std::move(ends));
  return true;
}

Result<SegmentPlace> SegmentReader::place_of(const SegmentId& id) const {
  const auto place = TRY(state_->index.find_segment(id));
  if (!place) return corrupt(fmt::format("segment {} is in no pack of this store", id.hex()));
  return *place;
}

Result<std::shared_ptr<const LocatedSegment>> SegmentReader::locate(const SegmentId& id) {
  {
    const std::lock_guard lock(state_->mutex);
    if (auto* held = state_->directories.get(id)) return *held;
  }
  const SegmentPlace place = TRY(place_of(id));
  const auto reader = TRY(pack(place.pack));
  auto segment = locate_segment(
      place, TRY(reader->read_directory(place.entry).with_context(pack_key(PackKind::kData, place.pack))));
  const std::lock_guard lock(state_->mutex);
  state_->directories.put(id, segment);
  return segment;
}

Result<std::shared_ptr<const LocatedSegment>> SegmentReader::remember(SegmentDirectory directory) {
  const SegmentPlace place = TRY(place_of(directory.id));
  const SegmentEntry& entry = place.entry;
  if (directory.encoded_bytes() != entry.directory_bytes || directory.blocks.size() != entry.block_count ||
      directory.payload_bytes() != entry.payload_bytes) {
    return corrupt(fmt::format("segment {} is stored in another form", directory.id.hex()));
  }
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
  const auto reader = TRY(pack(segment.place.pack));
  const FrameRun run =
      TRY(read_frames(*reader, segment, segment.frame_of(first), segment.frame_of(first + count - 1)));
  AlignedBuffer edge;  // holds a frame of which only a part is wanted
  for (std::size_t frame = run.first; frame <= run.last; ++frame) {
    const std::size_t frame_first = segment.frame_first_block[frame];
    const std::size_t frame_count = segment.directory.frames[frame].block_count;
    const ByteSpan stored = stored_frame(run, segment, frame);
    if (frame_first >= first && frame_first + frame_count <= first + count) {
      TRY(decode_verified(segment, frame, stored, thread_decoder(),
                          out.subspan((frame_first - first) * kBlockBytes, frame_count * kBlockBytes)));
      continue;
    }
    if (edge.size() < frame_count * kBlockBytes) edge = AlignedBuffer(kMaxFrameBlocks * kBlockBytes);
    const MutableByteSpan blocks = edge.span().first(frame_count * kBlockBytes);
    TRY(decode_verified(segment, frame, stored, thread_decoder(), blocks));
    const std::size_t from = std::max(first, frame_first);
    const std::size_t to = std::min(first + count, frame_first + frame_count);
    std::memcpy(out.data() + (from - first) * kBlockBytes, blocks.data() + (from - frame_first) * kBlockBytes,
                (to - from) * kBlockBytes);
  }
  return {};
}

}  // namespace ashlar
