// The bytes of a free record: what stays under a key whose record was removed, when a record of the same name
// may take that key again. Page: docs/format/free_record.md.
//
// Such a key is never deleted: a removal whose answer was lost could take effect on a later record. A record
// is freed, and a free record is replaced by a new one, only while the bytes are those that the writer read.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kFreeRecordVersion = 1;
inline constexpr std::size_t kFreeRecordBytes = 48;

struct FreeRecord {
  std::uint64_t revision = 1;  // more than that of every record that the key has held
  Nonce nonce;
  friend bool operator==(const FreeRecord&, const FreeRecord&) = default;
};

ByteVector encode(const FreeRecord& record);
// Returns whether the bytes begin as a free record does.
bool looks_free(ByteSpan bytes);
// Fails with kCorrupt, or with kUnsupported for a whole record of another version.
Result<FreeRecord> decode_free_record(ByteSpan bytes);

}  // namespace ashlar
