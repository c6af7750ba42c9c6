// Binary records: the frame that the small binary records share. Pages: docs/format/snapshot.md, session.md,
// volume.md, trace.md and damage.md. Internal to the module.
//
//   magic (8 bytes) · version (u16) · the record's fields · XXH3-64 of all bytes before it
//
// Every version of a record keeps this frame (docs/format/store.md). A decoder opens the frame, which checks
// the checksum before it believes the version, and then reads the fields to their end.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "format/cursor.h"

namespace ashlar {

struct BinaryRecordKind {
  std::string_view magic;  // 8 bytes
  std::string_view name;   // in messages: "snapshot record"
  std::uint16_t newest = 1;
  std::uint16_t oldest = 1;
};

// Returns a writer that holds magic and version; the fields follow.
ByteWriter begin_record(const BinaryRecordKind& kind, std::uint16_t version);
// Adds the checksum and returns the record's bytes.
ByteVector finish_record(ByteWriter&& out);

struct OpenedRecord {
  std::uint16_t version = 0;
  ByteReader fields;  // without the checksum; views the bytes that were opened
};
// Fails with kUnsupported for a whole record of a version outside of `kind.oldest` to `kind.newest`, with
// kCorrupt for bytes that are not a record of this kind or that have changed.
Result<OpenedRecord> open_record(const BinaryRecordKind& kind, ByteSpan bytes);

}  // namespace ashlar
