// Fuzz target: the state of a scrub, as it is and with a right checksum.
#include "format/scrub_record.h"
#include "fuzz/reseal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_scrub_state(bytes), bytes);
  const ashlar::ByteVector sealed = ashlar::fuzz::resealed(bytes);
  ashlar::fuzz::check_canonical(ashlar::decode_scrub_state(sealed), sealed);
  return 0;
}
