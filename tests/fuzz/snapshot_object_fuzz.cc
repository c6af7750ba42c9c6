// Fuzz target: what an object of a snapshot holds, as it is and with a right checksum.
#include "format/snapshot_life.h"
#include "fuzz/reseal.h"

namespace {

void check(ashlar::ByteSpan bytes) {
  const auto object = ashlar::decode_snapshot_object(bytes);
  if (!object.ok()) return;
  const auto again = std::visit([](const auto& one) { return encode(one); }, object.value());
  CHECK(ashlar::bytes_equal(again, bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  check(bytes);
  check(ashlar::fuzz::resealed(bytes));
  return 0;
}
