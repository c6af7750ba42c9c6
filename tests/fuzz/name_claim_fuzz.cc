// Fuzz target: a claim of a name, as it is and with a right checksum.
#include "format/name_claim.h"
#include "fuzz/reseal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_name_claim(bytes), bytes);
  const ashlar::ByteVector sealed = ashlar::fuzz::resealed(bytes);
  ashlar::fuzz::check_canonical(ashlar::decode_name_claim(sealed), sealed);
  return 0;
}
