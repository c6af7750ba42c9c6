// Fuzz target: an overlay's map: its header, and a transaction as it is and with a right checksum.
#include "codec/hash.h"
#include "format/overlay_map.h"
#include "fuzz/reseal.h"

namespace {

constexpr std::uint64_t kSalt = 0x5a17;
constexpr std::size_t kSumBytes = 16;

void check_transaction(ashlar::ByteSpan bytes) {
  const auto decoded = ashlar::decode_overlay_transaction(bytes, kSalt);
  if (decoded.ok()) {
    CHECK(ashlar::bytes_equal(ashlar::encode(decoded.value().transaction, kSalt),
                              bytes.first(decoded.value().bytes)));
  } else {
    const auto code = decoded.error().code();
    CHECK(code == ashlar::ErrorCode::kCorrupt || code == ashlar::ErrorCode::kUnsupported);
  }
  CHECK(ashlar::find_overlay_transaction(bytes, 0, 0, kSalt) <= bytes.size());
}

// Makes the whole input one transaction, with a right length and checksum.
ashlar::ByteVector sealed_transaction(ashlar::ByteSpan bytes) {
  ashlar::ByteVector out(bytes.begin(), bytes.end());
  if (out.size() < 16 + kSumBytes) return out;
  ashlar::fuzz::put_checksum(ashlar::MutableByteSpan(out).subspan(8), out.size());
  const std::size_t body = out.size() - kSumBytes;
  const auto sum = ashlar::checksum128(ashlar::ByteSpan(out).first(body), kSalt);
  std::memcpy(out.data() + body, sum.data(), kSumBytes);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_overlay_map_header(bytes), bytes);
  const ashlar::ByteVector header = ashlar::fuzz::resealed(bytes);
  ashlar::fuzz::check_canonical(ashlar::decode_overlay_map_header(header), header);
  check_transaction(bytes);
  check_transaction(sealed_transaction(bytes));
  return 0;
}
