#include "format/overlay_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "codec/hash.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::string_view kHeaderMagic = "ASHLOVER";
constexpr std::string_view kTransactionMagic = "ASHLOTXN";
constexpr std::size_t kFixedBytes = 48;  // the fixed part of a transaction, before its records
constexpr std::size_t kRecordBytes = 16;
constexpr std::size_t kChecksumBytes = 16;
constexpr std::size_t kHeaderChecksumBytes = 8;

// Each sum follows its encoder, member by member.
static_assert(kOverlayMapHeaderBytes == kHeaderMagic.size() + 2 + 6 + 8 + 8 + kHeaderChecksumBytes);
static_assert(kFixedBytes == kTransactionMagic.size() + 4 * 8 + 4 + 4);
static_assert(kRecordBytes == 8 + 4 + 1 + 1 + 2);
static_assert(kChecksumBytes == sizeof(Checksum128));

Error damaged(std::string_view what) { return corrupt(fmt::format("overlay map: {}", what)); }

void put_record(const OverlayRecord& record, ByteWriter& out) {
  out.u64(record.chunk);
  out.u32(record.count);
  out.u8(static_cast<std::uint8_t>(record.kind));
  out.u8(static_cast<std::uint8_t>(record.hold));
  out.u16(0);
  if (record.kind == OverlayRecordKind::kStates) out.bytes(record.states->bytes);
}

// Fails when a block past the end of the volume has a state other than absent: a volume that grows would find
// that state there.
Status check_end(const OverlayRecord& record, ByteCount size) {
  if (record.kind == OverlayRecordKind::kOpened) return {};
  const std::uint64_t blocks = blocks_covering(size).value;
  const std::uint64_t end = (record.chunk + record.count) * kChunkBlocks;
  if (end <= blocks) return {};
  if (record.kind == OverlayRecordKind::kConstant) {
    if (record.hold == BlockHold::kAbsent) return {};
    return damaged("a constant reaches past the end of the volume");
  }
  const std::size_t inside = blocks - record.chunk * kChunkBlocks;
  if (record.states->get(inside) == BlockHold::kAbsent &&
      record.states->run(inside, kChunkBlocks) == kChunkBlocks - inside) {
    return {};
  }
  return damaged("states past the end of the volume");
}

class RecordDecoder {
 public:
  RecordDecoder(ByteReader& in, DecodedTransaction& out)
      : in_(in), out_(out), chunks_(chunks_covering(out.transaction.size)) {}

  Status decode(std::uint32_t count) {
    // Memory is taken for as many records as the bytes can hold, not for as many as the count claims.
    const std::size_t possible = in_.left() / kRecordBytes;
    if (count > possible) return damaged("more records than bytes");
    out_.transaction.records.reserve(count);
    out_.states.reserve(std::min<std::size_t>(count, in_.left() / (kRecordBytes + kChunkStateBytes)));
    for (std::uint32_t i = 0; i < count; ++i) TRY(next());
    return {};
  }

 private:
  Status next() {
    OverlayRecord record;
    record.chunk = in_.u64();
    record.count = in_.u32();
    const std::uint8_t kind = in_.u8();
    const std::uint8_t hold = in_.u8();
    if (!in_.reserved(2)) return damaged("reserved bytes are not zero");
    if (kind < 1 || kind > 3 || hold > 3) return damaged("unknown kind of record or state");
    record.kind = static_cast<OverlayRecordKind>(kind);
    record.hold = static_cast<BlockHold>(hold);
    TRY(check_place(record));
    if (record.kind == OverlayRecordKind::kStates) {
      if (in_.left() < kChunkStateBytes) return damaged("states are cut off");
      in_.copy(out_.states.emplace_back().bytes);
      record.states = &out_.states.back();
    }
    TRY(check_end(record, out_.transaction.size));
    out_.transaction.records.push_back(record);
    return {};
  }

  Status check_place(const OverlayRecord& record) {
    const bool opened = record.kind == OverlayRecordKind::kOpened;
    if (record.kind != OverlayRecordKind::kConstant && record.hold != BlockHold::kAbsent) {
      return damaged("a state where none belongs");
    }
    if (record.kind == OverlayRecordKind::kStates && record.count != 1) {
      return damaged("states of several chunks");
    }
    if (opened && !in_opened_) next_chunk_ = 0;
    if (in_opened_ && !opened) return damaged("records out of order");
    in_opened_ = opened;
    if (record.chunk < next_chunk_ || record.count == 0) return damaged("records out of order");
    if (record.chunk > chunks_ || record.count > chunks_ - record.chunk) {
      return damaged("a chunk past the end of the volume");
    }
    next_chunk_ = record.chunk + record.count;
    return {};
  }

  ByteReader& in_;
  DecodedTransaction& out_;
  std::uint64_t chunks_;
  std::uint64_t next_chunk_ = 0;
  bool in_opened_ = false;
};

}  // namespace

std::size_t ChunkStates::run(std::size_t first, std::size_t end) const {
  const BlockHold hold = get(first);
  const auto whole = static_cast<std::byte>(static_cast<unsigned>(hold) * 0x55U);
  std::size_t at = first + 1;
  while (at < end) {
    if (at % 4 == 0 && at + 4 <= end && bytes[at / 4] == whole) {
      at += 4;
    } else if (get(at) == hold) {
      ++at;
    } else {
      break;
    }
  }
  return at - first;
}

bool ChunkStates::is_constant() const {
  const auto whole = static_cast<std::byte>(static_cast<unsigned>(get(0)) * 0x55U);
  return std::ranges::all_of(bytes, [whole](std::byte b) { return b == whole; });
}

ByteVector encode(const OverlayMapHeader& header) {
  ByteWriter out;
  out.text(kHeaderMagic);
  out.u16(kOverlayMapVersion);
  out.zeros(6);
  out.u64(header.volume.value);
  out.u64(header.salt);
  out.u64(checksum64(out.span()));
  return out.take();
}

Result<OverlayMapHeader> decode_overlay_map_header(ByteSpan bytes) {
  ByteReader in(bytes);
  if (!in.expect(kHeaderMagic)) return damaged("bad magic");
  if (bytes.size() != kOverlayMapHeaderBytes) return damaged("wrong length of the header");
  const ByteSpan body = bytes.first(kOverlayMapHeaderBytes - kHeaderChecksumBytes);
  if (ByteReader(bytes.last(kHeaderChecksumBytes)).u64() != checksum64(body)) {
    return damaged("checksum of the header does not match");
  }
  const auto version = in.u16();
  if (version > kOverlayMapVersion) {
    return unsupported(fmt::format("overlay map: format version {} is newer than this program", version));
  }
  if (version == 0) return damaged("impossible version");
  if (!in.reserved(6)) return damaged("reserved bytes are not zero");
  OverlayMapHeader header;
  header.volume.value = in.u64();
  header.salt = in.u64();
  return header;
}

ByteVector encode(const OverlayTransaction& transaction, std::uint64_t salt) {
  std::uint64_t bytes = kFixedBytes + kChecksumBytes;
  for (const OverlayRecord& record : transaction.records) {
    bytes += kRecordBytes + (record.kind == OverlayRecordKind::kStates ? kChunkStateBytes : 0);
  }
  ByteWriter out;
  out.text(kTransactionMagic);
  out.u64(bytes);
  out.u64(transaction.sequence);
  out.u64(transaction.base.value);
  out.u64(transaction.size.value);
  out.u32(transaction.flags);
  out.u32(static_cast<std::uint32_t>(transaction.records.size()));
  for (const OverlayRecord& record : transaction.records) put_record(record, out);
  const Checksum128 sum = checksum128(out.span(), salt);
  out.bytes(sum);
  return out.take();
}

Result<DecodedTransaction> decode_overlay_transaction(ByteSpan bytes, std::uint64_t salt) {
  ByteReader head(bytes);
  if (!head.expect(kTransactionMagic)) return damaged("no transaction");
  const std::uint64_t length = head.u64();
  if (length < kFixedBytes + kChecksumBytes || length > bytes.size())
    return damaged("a transaction is cut off");
  const ByteSpan body = bytes.first(length - kChecksumBytes);
  if (!bytes_equal(checksum128(body, salt), bytes.subspan(body.size(), kChecksumBytes))) {
    return damaged("checksum of a transaction does not match");
  }
  ByteReader in(body.subspan(kTransactionMagic.size() + sizeof length));
  DecodedTransaction out;
  out.bytes = length;
  out.transaction.sequence = in.u64();
  out.transaction.base.value = in.u64();
  out.transaction.size.value = in.u64();
  out.transaction.flags = in.u32();
  const std::uint32_t records = in.u32();
  if (out.transaction.size.value > kMaxVolumeBytes) return damaged("impossible size");
  constexpr std::uint32_t kKnown = OverlayTransaction::kWhole | OverlayTransaction::kClosed;
  if ((out.transaction.flags & ~kKnown) != 0) return unsupported("overlay map: unknown flags");
  TRY(RecordDecoder(in, out).decode(records));
  if (!in.done()) return damaged("wrong length of a transaction");
  return out;
}

std::size_t find_overlay_transaction(ByteSpan bytes, std::size_t from, std::uint64_t after,
                                     std::uint64_t salt) {
  const std::string_view text = as_text(bytes);
  for (std::size_t at = text.find(kTransactionMagic, from); at != std::string_view::npos;
       at = text.find(kTransactionMagic, at + 1)) {
    const auto found = decode_overlay_transaction(bytes.subspan(at), salt);
    if (found.ok() && found.value().transaction.sequence > after) return at;
  }
  return bytes.size();
}

}  // namespace ashlar
