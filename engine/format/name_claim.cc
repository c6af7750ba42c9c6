#include "format/name_claim.h"

#include "format/binary_record.h"

namespace ashlar {
namespace {

constexpr BinaryRecordKind kKind = {"ASHLNAME", "claim of a name", kNameClaimVersion};

static_assert(kNameClaimBytes == 8 + 2 + 6 + 8 + 8 + Nonce::kBytes + 8);

}  // namespace

ByteVector encode(const NameClaim& claim) {
  ByteWriter out = begin_record(kKind, kNameClaimVersion);
  out.zeros(6);
  out.u64(claim.revision);
  out.u64(claim.image.value);
  out.bytes(claim.nonce.span());
  return finish_record(std::move(out));
}

Result<NameClaim> decode_name_claim(ByteSpan bytes) {
  ByteReader in = TRY(open_record(kKind, bytes)).fields;
  NameClaim claim;
  const bool is_plain = in.reserved(6);
  claim.revision = in.u64();
  claim.image.value = in.u64();
  in.copy(claim.nonce.span());
  if (!in.done()) return corrupt("claim of a name: wrong length");
  if (!is_plain || claim.revision == 0 || claim.image.value == 0)
    return corrupt("claim of a name: an impossible field");
  return claim;
}

}  // namespace ashlar
