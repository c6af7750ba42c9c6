// Fuzz target: the first 128 bytes of a pack, as they are and with a right checksum.
#include "format/pack_format.h"
#include "fuzz/reseal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_pack_header(bytes), bytes);
  const ashlar::ByteVector sealed = ashlar::fuzz::resealed(bytes);
  ashlar::fuzz::check_canonical(ashlar::decode_pack_header(sealed), sealed);
  return 0;
}
