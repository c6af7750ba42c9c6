// The bytes of a claim: which image has a name. Page: docs/format/image.md.
//
// The claim lives as `image-names/<owner>-<SHA-256 of the name>`. It is never removed: another image takes it
// by replacing it, and only while its bytes are those that the writer read. No two versions of a claim have
// equal bytes, so a write whose answer was lost can't take effect on a later version.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kNameClaimVersion = 1;
inline constexpr std::size_t kNameClaimBytes = 56;

struct NameClaim {
  std::uint64_t revision = 1;  // one more with each replacement
  ImageId image;
  Nonce nonce;
  friend bool operator==(const NameClaim&, const NameClaim&) = default;
};

ByteVector encode(const NameClaim& claim);
// Fails with kCorrupt, or with kUnsupported for a whole record of another version.
Result<NameClaim> decode_name_claim(ByteSpan bytes);

}  // namespace ashlar
