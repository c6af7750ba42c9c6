#include "format/pack_format.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kPackMagic = "ASHLPACK";
constexpr std::string_view kSegmentMagic = "ASHLSEGM";
constexpr std::string_view kTrailerMagic = "ASHLPEND";
constexpr std::uint8_t kHashSha256 = 1;
constexpr std::uint8_t kEncryptionNone = 0;
constexpr std::size_t kChecksumBytes = 8;

// Each sum follows its encoder, member by member.
static_assert(kPackHeaderBytes ==
              kPackMagic.size() + 2 + 3 * 1 + 3 + StoreId::kBytes + PackId::kBytes + 8 + kChecksumBytes);
static_assert(kPackTrailerBytes == 8 + 4 + 1 + 3 + 8 + kChecksumBytes + kTrailerMagic.size());
static_assert(kSegmentHeaderBytes ==
              kSegmentMagic.size() + 2 + 2 + 3 * 4 + SegmentId::kBytes + kChecksumBytes);
static_assert(kFrameEntryBytes == 4 + 1 + 1 + 2 + 8);
static_assert(kSegmentEntryBytes == SegmentId::kBytes + 8 + 3 * 4 + 12);
static_assert(kNodeEntryBytes == NodeId::kBytes + 8 + 4 + 4);

Error damaged(std::string_view what) { return corrupt(fmt::format("pack: {}", what)); }

// Appends the XXH3-64 of everything that was written so far.
void seal(ByteWriter& out) { out.u64(checksum64(out.span())); }

bool checksum_matches(ByteSpan sealed) {
  const std::size_t body = sealed.size() - kChecksumBytes;
  return ByteReader(sealed.subspan(body)).u64() == checksum64(sealed.first(body));
}

ByteVector finish_footer(ByteWriter entries, PackKind kind, std::size_t count, std::uint64_t footer_offset) {
  const std::uint64_t checksum = checksum64(entries.span());
  ByteWriter trailer;
  trailer.u64(footer_offset);
  trailer.u32(static_cast<std::uint32_t>(count));
  trailer.u8(static_cast<std::uint8_t>(kind));
  trailer.zeros(3);
  trailer.u64(checksum);
  seal(trailer);
  trailer.text(kTrailerMagic);
  entries.bytes(trailer.span());
  return entries.take();
}

Status check_footer(const PackTrailer& trailer, PackKind kind, ByteSpan footer) {
  if (trailer.kind != kind) return damaged("footer is of another kind");
  if (footer.size() != trailer.footer_bytes()) return damaged("footer has a wrong length");
  if (checksum64(footer) != trailer.footer_checksum) return damaged("footer checksum does not match");
  return {};
}

bool inside(std::uint64_t offset, std::uint64_t bytes, std::uint64_t limit) {
  return offset >= kPackHeaderBytes && offset <= limit && bytes <= limit - offset;
}

}  // namespace

ByteVector encode(const PackHeader& header) {
  ByteWriter out;
  out.text(kPackMagic);
  out.u16(kPackVersion);
  out.u8(static_cast<std::uint8_t>(header.kind));
  out.u8(kHashSha256);
  out.u8(kEncryptionNone);
  out.zeros(3);
  out.bytes(header.store.span());
  out.bytes(header.pack.span());
  out.zeros(8);
  seal(out);
  return out.take();
}

Result<PackHeader> decode_pack_header(ByteSpan bytes) {
  ByteReader in(bytes);
  if (bytes.size() != kPackHeaderBytes || !in.expect(kPackMagic)) return damaged("not a pack (bad magic)");
  const auto version = in.u16();
  if (version > kPackVersion) {
    return unsupported(fmt::format("pack: format version {} is newer than this program", version));
  }
  if (version == 0) return damaged("impossible version");
  if (!checksum_matches(bytes)) return damaged("header checksum does not match");
  PackHeader header;
  const auto kind = in.u8();
  if (kind != 1 && kind != 2) return damaged("unknown kind");
  header.kind = static_cast<PackKind>(kind);
  if (in.u8() != kHashSha256) return unsupported("pack: unknown hash");
  if (in.u8() != kEncryptionNone) return unsupported("pack: encrypted, and this program can't decrypt");
  if (!in.reserved(3)) return damaged("reserved bytes are not zero");
  in.copy(header.store.span());
  in.copy(header.pack.span());
  if (!in.reserved(8)) return damaged("reserved bytes are not zero");
  return header;
}

std::uint64_t SegmentDirectory::payload_bytes() const {
  std::uint64_t total = 0;
  for (const FrameEntry& frame : frames) total += frame.stored_bytes;
  return total;
}

SegmentId segment_id(std::span<const BlockId> blocks) {
  return SegmentId{sha256("ashlar segment v1", std::as_bytes(blocks))};
}

ByteVector encode(const SegmentDirectory& directory) {
  ByteWriter tail;
  for (const FrameEntry& frame : directory.frames) {
    tail.u32(frame.stored_bytes);
    tail.u8(static_cast<std::uint8_t>(frame.codec));
    tail.u8(frame.block_count);
    tail.u16(0);
    tail.u64(frame.checksum);
  }
  tail.bytes(std::as_bytes(std::span(directory.blocks)));
  ByteWriter out;
  out.text(kSegmentMagic);
  out.u16(kPackVersion);
  out.u16(0);
  out.u32(static_cast<std::uint32_t>(directory.blocks.size()));
  out.u32(static_cast<std::uint32_t>(directory.frames.size()));
  out.u32(static_cast<std::uint32_t>(directory.payload_bytes()));
  out.bytes(directory.id.span());
  ByteWriter sealed;
  sealed.bytes(out.span());
  sealed.bytes(tail.span());
  out.u64(checksum64(sealed.span()));
  out.bytes(tail.span());
  return out.take();
}

namespace {

struct SegmentHeader {
  std::uint32_t block_count = 0;
  std::uint32_t frame_count = 0;
  std::uint32_t payload_bytes = 0;
  SegmentId id;
  std::uint64_t checksum = 0;
  std::size_t tail_bytes() const { return frame_count * kFrameEntryBytes + block_count * BlockId::kBytes; }
};

Result<SegmentHeader> decode_segment_header(ByteReader& in) {
  if (!in.expect(kSegmentMagic)) return damaged("no segment here (bad magic)");
  const auto version = in.u16();
  if (version > kPackVersion) return unsupported("segment: newer format version");
  if (version == 0) return damaged("segment: impossible version");
  if (!in.reserved(2)) return damaged("segment: reserved bytes are not zero");
  SegmentHeader header;
  header.block_count = in.u32();
  header.frame_count = in.u32();
  header.payload_bytes = in.u32();
  in.copy(header.id.span());
  header.checksum = in.u64();
  if (!in.ok()) return damaged("segment: header cut short");
  if (header.block_count == 0 || header.block_count > kSegmentBlocks)
    return damaged("segment: bad block count");
  if (header.frame_count == 0 || header.frame_count > header.block_count)
    return damaged("segment: bad frame count");
  return header;
}

// Returns whether a frame's length fits its codec: a raw frame is as long as its blocks, a compressed frame
// is shorter, an absent frame is empty.
bool fits_codec(const FrameEntry& frame) {
  const std::uint64_t raw = frame.block_count * kBlockBytes;
  switch (frame.codec) {
    case FrameCodec::kRaw:
      return frame.stored_bytes == raw;
    case FrameCodec::kZstd:
      return frame.stored_bytes > 0 && frame.stored_bytes < raw;
    case FrameCodec::kAbsent:
      return frame.stored_bytes == 0;
  }
  return false;
}

Status decode_frames(ByteReader& in, const SegmentHeader& header, std::vector<FrameEntry>& frames) {
  std::uint64_t blocks = 0;
  std::uint64_t payload = 0;
  frames.reserve(header.frame_count);
  for (std::uint32_t i = 0; i < header.frame_count; ++i) {
    FrameEntry frame;
    frame.stored_bytes = in.u32();
    const auto codec = in.u8();
    frame.block_count = in.u8();
    if (codec > static_cast<std::uint8_t>(FrameCodec::kAbsent))
      return damaged("segment: unknown frame codec");
    frame.codec = static_cast<FrameCodec>(codec);
    if (!in.reserved(2)) return damaged("segment: reserved bytes are not zero");
    frame.checksum = in.u64();
    if (frame.block_count == 0 || frame.block_count > kMaxFrameBlocks) return damaged("segment: bad frame");
    if (!fits_codec(frame)) return damaged("segment: frame of impossible length");
    blocks += frame.block_count;
    payload += frame.stored_bytes;
    frames.push_back(frame);
  }
  if (blocks != header.block_count || payload != header.payload_bytes)
    return damaged("segment: frames do not add up");
  return {};
}

}  // namespace

Result<std::size_t> segment_directory_bytes(ByteSpan bytes) {
  ByteReader in(bytes);
  const SegmentHeader header = TRY(decode_segment_header(in));
  return kSegmentHeaderBytes + header.tail_bytes();
}

Result<SegmentDirectory> decode_segment_directory(ByteSpan bytes) {
  ByteReader in(bytes);
  const SegmentHeader header = TRY(decode_segment_header(in));
  if (in.left() != header.tail_bytes()) return damaged("segment: directory has a wrong length");
  ByteWriter sealed;
  sealed.bytes(bytes.first(kSegmentHeaderBytes - kChecksumBytes));
  sealed.bytes(bytes.subspan(kSegmentHeaderBytes));
  if (checksum64(sealed.span()) != header.checksum)
    return damaged("segment: directory checksum does not match");
  SegmentDirectory directory;
  directory.id = header.id;
  TRY(decode_frames(in, header, directory.frames));
  directory.blocks.resize(header.block_count);
  in.copy(std::as_writable_bytes(std::span(directory.blocks)));
  if (!in.done()) return damaged("segment: directory cut short");
  if (segment_id(directory.blocks) != directory.id)
    return damaged("segment: its id does not match its blocks");
  return directory;
}

ByteVector encode_footer(std::span<const SegmentEntry> entries, std::uint64_t footer_offset) {
  ByteWriter out;
  for (const SegmentEntry& entry : entries) {
    out.bytes(entry.id.span());
    out.u64(entry.offset);
    out.u32(entry.directory_bytes);
    out.u32(entry.payload_bytes);
    out.u32(entry.block_count);
    out.zeros(12);
  }
  return finish_footer(std::move(out), PackKind::kData, entries.size(), footer_offset);
}

ByteVector encode_footer(std::span<const NodeEntry> entries, std::uint64_t footer_offset) {
  ByteWriter out;
  for (const NodeEntry& entry : entries) {
    out.bytes(entry.id.span());
    out.u64(entry.offset);
    out.u32(entry.bytes);
    out.zeros(4);
  }
  return finish_footer(std::move(out), PackKind::kMeta, entries.size(), footer_offset);
}

Result<PackTrailer> decode_pack_trailer(ByteSpan bytes, std::uint64_t pack_bytes) {
  if (bytes.size() != kPackTrailerBytes || pack_bytes < kPackHeaderBytes + kPackTrailerBytes) {
    return damaged("too short to be a pack");
  }
  const std::size_t sealed = kPackTrailerBytes - kTrailerMagic.size();
  if (as_text(bytes.subspan(sealed)) != kTrailerMagic) return damaged("no trailer: the pack is truncated");
  if (!checksum_matches(bytes.first(sealed))) return damaged("trailer checksum does not match");
  ByteReader in(bytes);
  PackTrailer trailer;
  trailer.footer_offset = in.u64();
  trailer.entry_count = in.u32();
  const auto kind = in.u8();
  if (kind != 1 && kind != 2) return damaged("trailer: unknown kind");
  trailer.kind = static_cast<PackKind>(kind);
  if (!in.reserved(3)) return damaged("trailer: reserved bytes are not zero");
  trailer.footer_checksum = in.u64();
  if (trailer.entry_count > kMaxPackEntries) return damaged("trailer: too many entries");
  if (!inside(trailer.footer_offset, trailer.footer_bytes() + kPackTrailerBytes, pack_bytes) ||
      trailer.footer_offset + trailer.footer_bytes() + kPackTrailerBytes != pack_bytes) {
    return damaged("trailer: footer does not fit the pack");
  }
  return trailer;
}

Result<std::vector<SegmentEntry>> decode_segment_entries(const PackTrailer& trailer, ByteSpan footer) {
  TRY(check_footer(trailer, PackKind::kData, footer));
  std::vector<SegmentEntry> entries(trailer.entry_count);
  ByteReader in(footer);
  for (SegmentEntry& entry : entries) {
    in.copy(entry.id.span());
    entry.offset = in.u64();
    entry.directory_bytes = in.u32();
    entry.payload_bytes = in.u32();
    entry.block_count = in.u32();
    if (!in.reserved(12)) return damaged("footer: reserved bytes are not zero");
    const std::uint64_t bytes = std::uint64_t{entry.directory_bytes} + entry.payload_bytes;
    if (!inside(entry.offset, bytes, trailer.footer_offset))
      return damaged("footer: a segment does not fit the pack");
    if (entry.directory_bytes < kSegmentHeaderBytes || entry.directory_bytes > kMaxDirectoryBytes ||
        entry.payload_bytes > kSegmentBytes || entry.block_count == 0 || entry.block_count > kSegmentBlocks) {
      return damaged("footer: a segment of impossible size");
    }
  }
  return entries;
}

Result<std::vector<NodeEntry>> decode_node_entries(const PackTrailer& trailer, ByteSpan footer) {
  TRY(check_footer(trailer, PackKind::kMeta, footer));
  std::vector<NodeEntry> entries(trailer.entry_count);
  ByteReader in(footer);
  for (NodeEntry& entry : entries) {
    in.copy(entry.id.span());
    entry.offset = in.u64();
    entry.bytes = in.u32();
    if (!in.reserved(4)) return damaged("footer: reserved bytes are not zero");
    if (!inside(entry.offset, entry.bytes, trailer.footer_offset))
      return damaged("footer: a node does not fit the pack");
  }
  return entries;
}

}  // namespace ashlar
