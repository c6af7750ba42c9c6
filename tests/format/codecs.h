// NamedFormat: one interface to every format, which refuses bytes with an error code, or decodes and encodes
// them again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "format/golden.h"

namespace ashlar {

using Reencode = std::function<Result<ByteVector>(ByteSpan)>;

// Where the checksum of an encoding with a version stands.
enum class Seal {
  kNone,       // there is none: the id of a manifest node covers it
  kEnd,        // XXH3-64 of all bytes before it, in the last eight
  kDirectory,  // in the header of a segment's directory
};

struct NamedFormat {
  std::string name;
  ByteVector golden;
  Reencode reencode;
  Seal seal = Seal::kEnd;          // if kNone, every accepted encoding must be canonical
  std::size_t version_offset = 8;  // offset of the low byte of the version
  bool wide_version = true;        // u16 if true, else u8
  unsigned newest = 1;             // newest version that the code knows
};

template <auto kDecode>
Result<ByteVector> decode_and_encode(ByteSpan bytes) {
  const auto value = TRY(kDecode(bytes));
  return encode(value);
}

inline Result<ByteVector> reencode_snapshot_object(ByteSpan bytes) {
  const SnapshotObject object = TRY(decode_snapshot_object(bytes));
  return std::visit([](const auto& one) { return encode(one); }, object);
}

inline Result<ByteVector> reencode_store_config(ByteSpan bytes) {
  const StoreConfig config = TRY(decode_store_config(as_text(bytes)));
  const std::string text = encode(config);
  const ByteSpan encoded = as_byte_span(text);
  return ByteVector(encoded.begin(), encoded.end());
}

// Returns a codec of a footer with its trailer, as the tail of a pack in which `footer_offset` bytes come
// first.
template <class Entry>
Reencode footer_codec(std::uint64_t footer_offset,
                      Result<std::vector<Entry>> (*decode)(const PackTrailer&, ByteSpan)) {
  return [=](ByteSpan tail) -> Result<ByteVector> {
    if (tail.size() < kPackTrailerBytes) return corrupt("short");
    const std::size_t entries_bytes = tail.size() - kPackTrailerBytes;
    const PackTrailer trailer =
        TRY(decode_pack_trailer(tail.subspan(entries_bytes), footer_offset + tail.size()));
    if (trailer.footer_offset != footer_offset) return corrupt("elsewhere");
    const std::vector<Entry> entries = TRY(decode(trailer, tail.first(entries_bytes)));
    if constexpr (std::is_same_v<Entry, SegmentEntry>) {
      return encode_footer(std::span<const Entry>(entries), trailer.directories_offset, footer_offset);
    } else {
      return encode_footer(std::span<const Entry>(entries), footer_offset);
    }
  };
}

// Returns the bytes with their checksum made right.
ByteVector sealed_again(Seal seal, ByteVector bytes);

// Returns the golden bytes and the codec of every binary format (ashlar.json is text and has its own tests).
std::vector<NamedFormat> binary_formats();

}  // namespace ashlar
