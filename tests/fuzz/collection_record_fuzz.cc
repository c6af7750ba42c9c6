// Fuzz target: the state of a collection, and a list of packs, as they are and with a right checksum.
#include "format/collection_record.h"
#include "fuzz/reseal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  const ashlar::ByteVector sealed = ashlar::fuzz::resealed(bytes);
  for (const ashlar::ByteSpan one : {bytes, ashlar::ByteSpan(sealed)}) {
    ashlar::fuzz::check_canonical(ashlar::decode_collection_state(one), one);
    ashlar::fuzz::check_canonical(ashlar::decode_pack_list(one), one);
  }
  return 0;
}
