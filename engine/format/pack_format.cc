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
constexpr std::uint8_t kKeyModeNone = 0;
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kSaltBytes = 32;
// The header's domain, key version, id generation and salt: all zero without encryption.
constexpr std::size_t kKeyFieldBytes = 16 + 2 * 4 + kSaltBytes;

// Each sum follows its encoder, member by member.
static_assert(kPackHeaderBytes == kPackMagic.size() + 2 + 3 * 1 + 3 + StoreId::kBytes + PackId::kBytes +
                                      kKeyFieldBytes + 16 + kChecksumBytes);
static_assert(kPackTrailerBytes == 2 * 8 + 4 + 1 + 3 + 8 + kChecksumBytes + kTrailerMagic.size());
static_assert(kSegmentHeadBytes == kSegmentMagic.size() + 2 + 2 * 1 + 3 * 4);
static_assert(kSegmentHeaderBytes ==
              kSegmentHeadBytes + kSaltBytes + 2 * 4 + SegmentId::kBytes + kChecksumBytes);
static_assert(kFrameEntryBytes == 4 + 1 + 1 + 2 + 8);
static_assert(kSegmentEntryBytes == SegmentId::kBytes + 2 * 8 + 3 * 4 + 4);
static_assert(kNodeEntryBytes == NodeId::kBytes + 8 + 4 + 4);

Error damaged(std::string_view what) { return corrupt(fmt::format("pack: {}", what)); }
Error encrypted(std::string_view what) {
  return unsupported(fmt::format("{}: encrypted, and this program can't decrypt", what));
}

Status check_version(std::uint16_t version, std::string_view what) {
  if (version > kPackVersion) {
    return unsupported(fmt::format("{}: format version {} is newer than this program", what, version));
  }
  if (version < kPackVersion) return corrupt(fmt::format("{}: impossible version", what));
  return {};
}

// Appends the XXH3-64 of everything that was written so far.
void seal(ByteWriter& out) { out.u64(checksum64(out.span())); }

bool checksum_matches(ByteSpan sealed) {
  const std::size_t body = sealed.size() - kChecksumBytes;
  return ByteReader(sealed.subspan(body)).u64() == checksum64(sealed.first(body));
}

// Appends the trailer to the encoded entries. Takes all but the checksum of the entries from `trailer`.
ByteVector finish_footer(ByteWriter entries, const PackTrailer& trailer) {
  const std::uint64_t checksum = checksum64(entries.span());
  ByteWriter out;
  out.u64(trailer.footer_offset);
  out.u64(trailer.directories_offset);
  out.u32(trailer.entry_count);
  out.u8(static_cast<std::uint8_t>(trailer.kind));
  out.zeros(3);
  out.u64(checksum);
  seal(out);
  out.text(kTrailerMagic);
  entries.bytes(out.span());
  return entries.take();
}

Status check_footer(const PackTrailer& trailer, PackKind kind, ByteSpan footer) {
  if (trailer.kind != kind) return damaged("footer is of another kind");
  if (footer.size() != trailer.footer_bytes()) return damaged("footer has a wrong length");
  if (checksum64(footer) != trailer.footer_checksum) return damaged("footer checksum does not match");
  return {};
}

// Returns whether [offset, offset + bytes) lies in [begin, end).
bool inside(std::uint64_t offset, std::uint64_t bytes, std::uint64_t begin, std::uint64_t end) {
  return offset >= begin && offset <= end && bytes <= end - offset;
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
  out.zeros(kKeyFieldBytes);
  out.zeros(16);
  seal(out);
  return out.take();
}

Result<PackHeader> decode_pack_header(ByteSpan bytes) {
  ByteReader in(bytes);
  if (bytes.size() != kPackHeaderBytes || !in.expect(kPackMagic)) return damaged("not a pack (bad magic)");
  if (!checksum_matches(bytes)) return damaged("header checksum does not match");
  TRY(check_version(in.u16(), "pack"));
  PackHeader header;
  const auto kind = in.u8();
  if (kind != 1 && kind != 2) return damaged("unknown kind");
  header.kind = static_cast<PackKind>(kind);
  const auto hash = in.u8();
  if (in.u8() != kEncryptionNone) return encrypted("pack");
  if (hash != kHashSha256) return unsupported("pack: unknown hash");
  if (!in.reserved(3)) return damaged("reserved bytes are not zero");
  in.copy(header.store.span());
  in.copy(header.pack.span());
  if (!in.reserved(kKeyFieldBytes)) return encrypted("pack");
  if (!in.reserved(16)) return damaged("reserved bytes are not zero");
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
  out.u8(kKeyModeNone);
  out.zeros(1);
  out.u32(static_cast<std::uint32_t>(directory.encoded_bytes() - kSegmentHeadBytes));
  out.u32(static_cast<std::uint32_t>(directory.payload_bytes()));
  out.zeros(4);
  out.zeros(kSaltBytes);
  out.u32(static_cast<std::uint32_t>(directory.blocks.size()));
  out.u32(static_cast<std::uint32_t>(directory.frames.size()));
  out.bytes(directory.id.span());
  ByteWriter summed;
  summed.bytes(out.span());
  summed.bytes(tail.span());
  out.u64(checksum64(summed.span()));
  out.bytes(tail.span());
  return out.take();
}

namespace {

// The clear head of a directory.
struct SegmentHead {
  std::uint16_t version = 0;
  std::uint8_t key_mode = 0;
  std::uint32_t sealed_bytes = 0;  // the length of the rest of the directory
  std::uint32_t payload_bytes = 0;
  bool is_plain = false;  // the reserved bytes are zero
};

// Reads the fields and checks the length only: the checksum, which is checked next, covers the rest.
Result<SegmentHead> decode_segment_head(ByteReader& in) {
  if (!in.expect(kSegmentMagic)) return damaged("no segment here (bad magic)");
  SegmentHead head;
  head.version = in.u16();
  head.key_mode = in.u8();
  const std::uint8_t reserved = in.u8();
  head.sealed_bytes = in.u32();
  head.payload_bytes = in.u32();
  head.is_plain = in.reserved(4) && reserved == 0;
  if (!in.ok()) return damaged("segment: head cut short");
  if (head.sealed_bytes < kSegmentHeaderBytes - kSegmentHeadBytes ||
      head.sealed_bytes > kMaxDirectoryBytes - kSegmentHeadBytes) {
    return damaged("segment: a directory of impossible length");
  }
  return head;
}

// Returns whether the checksum in a directory's header is that of all its other bytes.
bool is_sealed(ByteSpan directory) {
  constexpr std::size_t checksum_at = kSegmentHeaderBytes - kChecksumBytes;
  ByteWriter summed;
  summed.bytes(directory.first(checksum_at));
  summed.bytes(directory.subspan(kSegmentHeaderBytes));
  return ByteReader(directory.subspan(checksum_at)).u64() == checksum64(summed.span());
}

// The fields between the clear head and the frame entries.
struct SegmentHeader {
  bool is_salted = false;
  std::uint32_t block_count = 0;
  std::uint32_t frame_count = 0;
  SegmentId id;
  std::size_t tail_bytes() const { return frame_count * kFrameEntryBytes + block_count * BlockId::kBytes; }
};

Result<SegmentHeader> decode_segment_header(ByteReader& in) {
  SegmentHeader header;
  header.is_salted = !is_zero(in.bytes(kSaltBytes));
  header.block_count = in.u32();
  header.frame_count = in.u32();
  in.copy(header.id.span());
  in.bytes(kChecksumBytes);
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

Status decode_frames(ByteReader& in, const SegmentHead& head, const SegmentHeader& header,
                     std::vector<FrameEntry>& frames) {
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
  if (blocks != header.block_count || payload != head.payload_bytes)
    return damaged("segment: frames do not add up");
  return {};
}

}  // namespace

Result<std::size_t> segment_directory_bytes(ByteSpan head) {
  ByteReader in(head);
  return kSegmentHeadBytes + TRY(decode_segment_head(in)).sealed_bytes;
}

Result<SegmentDirectory> decode_segment_directory(ByteSpan bytes) {
  ByteReader in(bytes);
  const SegmentHead head = TRY(decode_segment_head(in));
  if (in.left() != head.sealed_bytes) return damaged("segment: directory has a wrong length");
  if (!is_sealed(bytes)) return damaged("segment: directory checksum does not match");
  TRY(check_version(head.version, "segment"));
  if (!head.is_plain) return damaged("segment: reserved bytes are not zero");
  const SegmentHeader header = TRY(decode_segment_header(in));
  if (head.key_mode != kKeyModeNone || header.is_salted) return encrypted("segment");
  if (in.left() != header.tail_bytes()) return damaged("segment: directory has a wrong length");
  SegmentDirectory directory;
  directory.id = header.id;
  TRY(decode_frames(in, head, header, directory.frames));
  directory.blocks.resize(header.block_count);
  in.copy(std::as_writable_bytes(std::span(directory.blocks)));
  if (!in.done()) return damaged("segment: directory cut short");
  if (segment_id(directory.blocks) != directory.id)
    return damaged("segment: its id does not match its blocks");
  return directory;
}

ByteVector encode_footer(std::span<const SegmentEntry> entries, std::uint64_t directories_offset,
                         std::uint64_t footer_offset) {
  ByteWriter out;
  for (const SegmentEntry& entry : entries) {
    out.bytes(entry.id.span());
    out.u64(entry.payload_offset);
    out.u64(entry.directory_offset);
    out.u32(entry.payload_bytes);
    out.u32(entry.directory_bytes);
    out.u32(entry.block_count);
    out.zeros(4);
  }
  const auto count = static_cast<std::uint32_t>(entries.size());
  return finish_footer(std::move(out), {footer_offset, directories_offset, count, PackKind::kData, 0});
}

ByteVector encode_footer(std::span<const NodeEntry> entries, std::uint64_t footer_offset) {
  ByteWriter out;
  for (const NodeEntry& entry : entries) {
    out.bytes(entry.id.span());
    out.u64(entry.offset);
    out.u32(entry.bytes);
    out.zeros(4);
  }
  const auto count = static_cast<std::uint32_t>(entries.size());
  return finish_footer(std::move(out), {footer_offset, footer_offset, count, PackKind::kMeta, 0});
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
  trailer.directories_offset = in.u64();
  trailer.entry_count = in.u32();
  const auto kind = in.u8();
  if (kind != 1 && kind != 2) return damaged("trailer: unknown kind");
  trailer.kind = static_cast<PackKind>(kind);
  if (!in.reserved(3)) return damaged("trailer: reserved bytes are not zero");
  trailer.footer_checksum = in.u64();
  if (trailer.entry_count > kMaxPackEntries) return damaged("trailer: too many entries");
  const std::uint64_t footer_end = pack_bytes - kPackTrailerBytes;
  if (!inside(trailer.footer_offset, trailer.footer_bytes(), PackHeader::contents_offset(), footer_end) ||
      trailer.footer_offset + trailer.footer_bytes() != footer_end) {
    return damaged("trailer: footer does not fit the pack");
  }
  if (!inside(trailer.directories_offset, 0, PackHeader::contents_offset(), trailer.footer_offset))
    return damaged("trailer: directories do not fit the pack");
  if (trailer.kind == PackKind::kMeta && trailer.directories_offset != trailer.footer_offset)
    return damaged("trailer: a meta pack with directories");
  if (pack_bytes - trailer.directories_offset > kMaxPackTailBytes)
    return damaged("trailer: directories and footer of impossible length");
  return trailer;
}

Result<std::vector<SegmentEntry>> decode_segment_entries(const PackTrailer& trailer, ByteSpan footer) {
  TRY(check_footer(trailer, PackKind::kData, footer));
  std::vector<SegmentEntry> entries(trailer.entry_count);
  ByteReader in(footer);
  for (SegmentEntry& entry : entries) {
    in.copy(entry.id.span());
    entry.payload_offset = in.u64();
    entry.directory_offset = in.u64();
    entry.payload_bytes = in.u32();
    entry.directory_bytes = in.u32();
    entry.block_count = in.u32();
    if (!in.reserved(4)) return damaged("footer: reserved bytes are not zero");
    if (!inside(entry.payload_offset, entry.payload_bytes, PackHeader::contents_offset(),
                trailer.directories_offset) ||
        !inside(entry.directory_offset, entry.directory_bytes, trailer.directories_offset,
                trailer.footer_offset)) {
      return damaged("footer: a segment does not fit the pack");
    }
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
    if (!inside(entry.offset, entry.bytes, PackHeader::contents_offset(), trailer.footer_offset))
      return damaged("footer: a node does not fit the pack");
  }
  return entries;
}

}  // namespace ashlar
