#include "format/free_record.h"

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLFREE", "free record", kFreeRecordVersion};

static_assert(kFreeRecordBytes == 8 + 2 + 6 + 8 + Nonce::kBytes + 8);

}  // namespace

ByteVector encode(const FreeRecord& record) {
  ByteWriter out = begin_record(kKind, kFreeRecordVersion);
  out.zeros(6);
  out.u64(record.revision);
  out.bytes(record.nonce.span());
  return finish_record(std::move(out));
}

bool looks_free(ByteSpan bytes) { return ByteReader(bytes).expect(kKind.magic); }

Result<FreeRecord> decode_free_record(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  FreeRecord record;
  const bool is_plain = in.reserved(6);
  record.revision = in.u64();
  in.copy(record.nonce.span());
  if (!in.done()) return corrupt("free record: wrong length");
  if (!is_plain || record.revision == 0) return corrupt("free record: an impossible field");
  return record;
}

}  // namespace ashlar
