#include "volume/base_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ashlar {
namespace {

// The part of an extent of a leaf that lies within the blocks [first, end) of that leaf.
struct Part {
  const LeafExtent* extent = nullptr;
  std::size_t skipped = 0;  // blocks of the extent that lie before the part
  std::size_t at = 0;       // first block of the part, counted in the leaf
  std::size_t count = 0;
};

template <class Visit>
Status each_part(const Leaf& leaf, std::size_t first, std::size_t end, const Visit& visit) {
  std::size_t at = 0;
  for (const LeafExtent& extent : leaf.extents) {
    const std::size_t from = std::max(at, first);
    const std::size_t to = std::min<std::size_t>(at + extent.block_count, end);
    if (from < to) TRY(visit(Part{&extent, from - at, from, to - from}));
    at += extent.block_count;
  }
  return {};
}

void add_run(std::vector<BaseRun>& runs, ExtentKind kind, std::uint64_t count) {
  if (count == 0) return;
  if (!runs.empty() && runs.back().kind == kind) {
    runs.back().count += BlockCount{count};
  } else {
    runs.push_back({kind, BlockCount{count}});
  }
}

ExtentKind kind_of(ChildKind constant) {
  return constant == ChildKind::kZero ? ExtentKind::kZero : ExtentKind::kUnallocated;
}

}  // namespace

BaseImage::BaseImage(NodeReader& nodes, SegmentReader& segments, FrameCache& frames,
                     const SnapshotRecord& snapshot)
    : nodes_(nodes),
      segments_(segments),
      frames_(frames),
      id_(snapshot.id),
      size_(snapshot.size),
      root_(tree_root(snapshot)) {}

Status BaseImage::read(BlockRange range, MutableByteSpan out) const {
  CHECK(out.size() == byte_count(range.count).value);
  LeafCursor cursor(nodes_, root_);
  std::uint64_t lba = range.first.value;
  const std::uint64_t end = range.end().value;
  while (lba < end) {
    const MutableByteSpan rest = out.subspan((lba - range.first.value) * kBlockBytes);
    if (lba >= root_.blocks.value) {
      std::memset(rest.data(), 0, rest.size());
      return {};
    }
    const LeafSpan span = TRY(cursor.at(lba / kLeafBlocks));
    const std::uint64_t span_end = std::min(root_.blocks.value, (span.first + span.count) * kLeafBlocks);
    const std::uint64_t count = std::min(end, span_end) - lba;
    const MutableByteSpan part = rest.first(count * kBlockBytes);
    if (span.ref.is_node()) {
      TRY(read_leaf(cursor, span, {Lba{lba}, BlockCount{count}}, part));
    } else {
      std::memset(part.data(), 0, part.size());
    }
    lba += count;
  }
  return {};
}

Status BaseImage::read_leaf(LeafCursor& cursor, const LeafSpan& span, BlockRange range,
                            MutableByteSpan out) const {
  const auto leaf = TRY(cursor.load(span));
  const std::size_t first = range.first.value - span.first * kLeafBlocks;
  return each_part(*leaf, first, first + range.count.value, [&](const Part& part) -> Status {
    const MutableByteSpan place = out.subspan((part.at - first) * kBlockBytes, part.count * kBlockBytes);
    if (part.extent->kind == ExtentKind::kData) {
      return read_data(leaf->segments[part.extent->segment], part.extent->first_block + part.skipped,
                       part.count, place);
    }
    if (part.extent->kind == ExtentKind::kUnreadable) {
      return corrupt(fmt::format("{}: block {} was lost when the snapshot was taken", id_.text(),
                                 span.first * kLeafBlocks + part.at));
    }
    std::memset(place.data(), 0, place.size());
    return {};
  });
}

// Reads the segment's directory from its pack and tries once more when the frames do not match a directory
// that is hearsay.
Status BaseImage::read_data(const SegmentId& id, std::size_t first, std::size_t count,
                            MutableByteSpan out) const {
  auto segment = TRY(segments_.locate(id));
  Status read = read_frames(*segment, first, count, out);
  if (read.ok() || !segment->is_hearsay) return read;
  segments_.forget(id);
  segment = TRY(segments_.locate(id));
  return read_frames(*segment, first, count, out);
}

Status BaseImage::read_frames(const LocatedSegment& segment, std::size_t first, std::size_t count,
                              MutableByteSpan out) const {
  const std::size_t end = first + count;
  if (end > segment.directory.blocks.size()) return corrupt("an extent runs past its segment");
  for (std::size_t block = first; block < end;) {
    const std::size_t number = segment.frame_of(block);
    const auto frame = TRY(frames_.get(segment, number));
    const std::size_t frame_first = segment.frame_first_block[number];
    const std::size_t frame_end = frame_first + segment.directory.frames[number].block_count;
    CHECK(frame->size() == (frame_end - frame_first) * kBlockBytes);
    const std::size_t taken = std::min(end, frame_end) - block;
    std::memcpy(out.data() + (block - first) * kBlockBytes,
                frame->data() + (block - frame_first) * kBlockBytes, taken * kBlockBytes);
    block += taken;
  }
  return {};
}

Result<std::vector<BaseRun>> BaseImage::runs(BlockRange range, std::size_t most) const {
  LeafCursor cursor(nodes_, root_);
  std::vector<BaseRun> runs;
  std::uint64_t lba = range.first.value;
  const std::uint64_t end = range.end().value;
  while (lba < end && runs.size() <= most) {
    if (lba >= root_.blocks.value) {
      add_run(runs, ExtentKind::kUnallocated, end - lba);
      break;
    }
    const LeafSpan span = TRY(cursor.at(lba / kLeafBlocks));
    const std::uint64_t span_first = span.first * kLeafBlocks;
    const std::uint64_t span_end = std::min(root_.blocks.value, (span.first + span.count) * kLeafBlocks);
    const std::uint64_t stop = std::min(end, span_end);
    if (span.ref.is_node()) {
      const auto leaf = TRY(cursor.load(span));
      TRY(each_part(*leaf, lba - span_first, stop - span_first, [&](const Part& part) -> Status {
        add_run(runs, part.extent->kind, part.count);
        return {};
      }));
    } else {
      add_run(runs, kind_of(span.ref.kind), stop - lba);
    }
    lba = stop;
  }
  if (runs.size() > most) runs.resize(most);
  return runs;
}

}  // namespace ashlar
