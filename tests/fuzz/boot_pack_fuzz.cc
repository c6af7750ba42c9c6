// Fuzz target: the header of a boot pack, as it is and with a right checksum, and the headers of its items.
#include "format/boot_pack_format.h"
#include "fuzz/reseal.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_boot_pack_header(bytes), bytes);
  const ashlar::ByteVector sealed = ashlar::fuzz::resealed(bytes);
  ashlar::fuzz::check_canonical(ashlar::decode_boot_pack_header(sealed), sealed);
  ashlar::fuzz::check_canonical(ashlar::decode_boot_item_header(bytes), bytes);
  return 0;
}
