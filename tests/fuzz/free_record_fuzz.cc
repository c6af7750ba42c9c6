// Fuzz target: a free record, as it is and with a right checksum.
#include "format/free_record.h"
#include "fuzz/reseal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_free_record(bytes), bytes);
  const ashlar::ByteVector sealed = ashlar::fuzz::resealed(bytes);
  ashlar::fuzz::check_canonical(ashlar::decode_free_record(sealed), sealed);
  return 0;
}
