#include "scrub/pack_check.h"

#include <algorithm>

#include "format/node_format.h"
#include "store/segments.h"

namespace ashlar {
namespace {

PackFault whole_pack(const std::string& object, const Error& error) {
  PackFault fault;
  fault.object = object;
  fault.what = error.text();
  fault.is_unread = !says_damage(error);
  fault.is_wrong = error.code() == ErrorCode::kCorrupt;
  return fault;
}

PackFault segment_fault(const std::string& object, const SegmentEntry& entry, const Error& error) {
  PackFault fault = whole_pack(object, error);
  fault.segment = entry.id;
  fault.count = entry.block_count;
  return fault;
}

void check_frames(const WholePackReader& reader, const LocatedSegment& segment, const std::string& object,
                  std::vector<PackFault>& faults) {
  ByteVector payload(segment.place.entry.payload_bytes);
  const std::uint64_t begin = segment.place.entry.payload_offset;
  if (auto read = reader.read_raw(begin, payload); !read.ok()) {
    faults.push_back(segment_fault(object, segment.place.entry, read.error()));
    return;
  }
  FrameDecoder decoder;
  AlignedBuffer blocks(kMaxFrameBlocks * kBlockBytes);
  for (std::uint32_t frame = 0; frame < segment.directory.frames.size(); ++frame) {
    const FrameEntry& entry = segment.directory.frames[frame];
    const ByteSpan stored =
        ByteSpan(payload).subspan(segment.frame_offsets[frame] - begin, entry.stored_bytes);
    const bool is_absent = entry.codec == FrameCodec::kAbsent;
    const Status decoded = is_absent ? corrupt("it was dropped by a collection")
                                     : decode_verified(segment, frame, stored, decoder,
                                                       blocks.span().first(entry.block_count * kBlockBytes));
    if (decoded.ok()) continue;
    PackFault fault = segment_fault(object, segment.place.entry, decoded.error());
    fault.is_wrong = fault.is_wrong && !is_absent;
    fault.is_absent = is_absent;
    fault.frame = frame;
    fault.first = segment.frame_first_block[frame];
    fault.count = entry.block_count;
    faults.push_back(std::move(fault));
  }
}

// Moves `at` past a piece of a pack. Returns false when the piece does not begin there.
bool step(std::uint64_t& at, std::uint64_t offset, std::uint64_t bytes) {
  if (offset != at) return false;
  at += bytes;
  return true;
}

// Returns whether payloads and directories tile the pack between its header and its footer, in the order of
// the entries. A byte that no entry covers was not written by this engine, and no check would find a flipped
// bit in it.
bool covers_all(const std::vector<SegmentEntry>& entries, const PackTrailer& trailer) {
  std::uint64_t payload = PackHeader::contents_offset();
  std::uint64_t directory = trailer.directories_offset;
  for (const SegmentEntry& entry : entries) {
    if (!step(payload, entry.payload_offset, entry.payload_bytes)) return false;
    if (!step(directory, entry.directory_offset, entry.directory_bytes)) return false;
  }
  return payload == trailer.directories_offset && directory == trailer.footer_offset;
}

bool covers_all(const std::vector<NodeEntry>& entries, const PackTrailer& trailer) {
  std::uint64_t at = PackHeader::contents_offset();
  for (const NodeEntry& entry : entries) {
    if (!step(at, entry.offset, entry.bytes)) return false;
  }
  return at == trailer.footer_offset;
}

Error gap() { return corrupt("pack: bytes that no entry of the footer covers"); }

}  // namespace

bool says_damage(const Error& error) {
  return error.code() == ErrorCode::kCorrupt || error.code() == ErrorCode::kNotFound;
}

std::vector<PackFault> check_data_pack(const DataPackCheck& check, PackTally& tally) {
  const std::string object = pack_key(PackKind::kData, check.pack);
  const auto reader = WholePackReader::open(check.objects, PackKind::kData, check.pack, ReadMode::kDirect);
  if (!reader.ok()) return {whole_pack(object, reader.error())};
  // Where one sector of the tail can't be read, the directories are read one by one, so that the others are
  // checked.
  const auto tail = reader.value()->read_tail();
  const auto entries = tail.ok() ? Result(tail.value().entries()) : reader.value()->segments();
  if (!entries.ok()) return {whole_pack(object, entries.error())};
  std::vector<PackFault> faults;
  if (!check.wanted && !covers_all(entries.value(), reader.value()->trailer()))
    faults.push_back(whole_pack(object, gap()));
  for (const SegmentEntry& entry : entries.value()) {
    if (check.wanted && !check.wanted(entry.id)) continue;
    if (check.checked) check.checked(entry.id);
    auto directory = tail.ok() ? tail.value().directory(entry) : reader.value()->read_directory(entry);
    if (directory.ok()) {
      const auto segment = locate_segment({check.pack, entry}, directory.take());
      check_frames(*reader.value(), *segment, object, faults);
    } else {
      faults.push_back(segment_fault(object, entry, directory.error()));
    }
    const std::uint64_t bytes = std::uint64_t{entry.directory_bytes} + entry.payload_bytes;
    ++tally.segments;
    tally.blocks += entry.block_count;
    tally.bytes += bytes;
    check.done(bytes);
  }
  return faults;
}

namespace {

// Reads the nodes of a pack one after the other, many with one read.
class NodeWindow {
 public:
  explicit NodeWindow(const WholePackReader& pack) : pack_(pack) {}

  // Reads a node by itself where the window can't be read, or does not hold it as it should be.
  Result<ByteVector> read(const NodeEntry& entry) {
    if (!holds(entry)) load(entry.offset);
    if (!holds(entry)) return pack_.read_node(entry);
    const ByteSpan encoding = ByteSpan(bytes_).subspan(entry.offset - first_, entry.bytes);
    if (node_id(encoding) != entry.id) return pack_.read_node(entry);
    return ByteVector(encoding.begin(), encoding.end());
  }

 private:
  static constexpr std::uint64_t kWindowBytes = std::uint64_t{1} << 20U;

  bool holds(const NodeEntry& entry) const {
    return entry.bytes <= kMaxNodeBytes && entry.offset >= first_ &&
           entry.offset - first_ + entry.bytes <= bytes_.size();
  }
  void load(std::uint64_t offset) {
    const std::uint64_t end = pack_.trailer().footer_offset;
    first_ = offset;
    bytes_.resize(offset < end ? std::min(kWindowBytes, end - offset) : 0);
    if (!pack_.read_raw(first_, bytes_).ok()) bytes_.clear();
  }

  const WholePackReader& pack_;
  std::uint64_t first_ = 0;
  ByteVector bytes_;
};

// A node whose bytes have its id is sound, so one of a newer version is not damage.
Status check_node(const Result<ByteVector>& encoding) {
  if (!encoding.ok()) return encoding.error();
  const auto leaf = decode_leaf(encoding.value());
  const auto inner = decode_inner_node(encoding.value());
  if (leaf.ok() || inner.ok()) return {};
  if (is(leaf, ErrorCode::kUnsupported)) return leaf.error();
  if (is(inner, ErrorCode::kUnsupported)) return inner.error();
  return corrupt("node does not decode");
}

}  // namespace

std::vector<PackFault> check_meta_pack(const MetaPackCheck& check, PackTally& tally) {
  const std::string object = pack_key(PackKind::kMeta, check.pack);
  const auto reader = WholePackReader::open(check.objects, PackKind::kMeta, check.pack, ReadMode::kDirect);
  if (!reader.ok()) return {whole_pack(object, reader.error())};
  const auto entries = reader.value()->nodes();
  if (!entries.ok()) return {whole_pack(object, entries.error())};
  std::vector<PackFault> faults;
  if (!check.wanted && !covers_all(entries.value(), reader.value()->trailer()))
    faults.push_back(whole_pack(object, gap()));
  NodeWindow window(*reader.value());
  for (const NodeEntry& entry : entries.value()) {
    if (check.wanted && !check.wanted(entry.id)) continue;
    if (check.checked) check.checked(entry.id);
    const auto encoding = check.wanted ? reader.value()->read_node(entry) : window.read(entry);
    if (const Status checked = check_node(encoding); !checked.ok()) {
      PackFault fault = whole_pack(object, checked.error());
      fault.node = entry.id;
      faults.push_back(std::move(fault));
    }
    ++tally.nodes;
    tally.bytes += entry.bytes;
    check.done(entry.bytes);
  }
  return faults;
}

}  // namespace ashlar
