// Fuzz target: trailer and footer of a pack, as they are and with right checksums. The first eight bytes
// choose the size of the pack, the rest is its end.
#include "format/pack_format.h"
#include "fuzz/reseal.h"

namespace {

using namespace ashlar;

void decode_tail(ByteSpan tail, std::uint64_t pack_bytes) {
  if (tail.size() < kPackTrailerBytes) return;
  const auto trailer = decode_pack_trailer(tail.last(kPackTrailerBytes), pack_bytes);
  if (!trailer.ok()) return;
  const PackTrailer& t = trailer.value();
  CHECK(t.directories_offset <= t.footer_offset && pack_bytes - t.directories_offset <= kMaxPackTailBytes);
  CHECK(t.footer_offset + t.footer_bytes() + kPackTrailerBytes == pack_bytes);
  const std::size_t held = tail.size() - kPackTrailerBytes;
  if (t.footer_bytes() > held) return;
  const ByteSpan footer = tail.subspan(held - t.footer_bytes(), t.footer_bytes());
  const ByteSpan whole = tail.last(t.footer_bytes() + kPackTrailerBytes);
  if (const auto segments = decode_segment_entries(t, footer); segments.ok()) {
    CHECK(bytes_equal(encode_footer(std::span(segments.value()), t.directories_offset, t.footer_offset),
                      whole));
  }
  if (const auto nodes = decode_node_entries(t, footer); nodes.ok()) {
    CHECK(bytes_equal(encode_footer(std::span(nodes.value()), t.footer_offset), whole));
  }
}

// Makes the magic and the checksums of the trailer right, and that of a footer that fills the tail
// (docs/format/pack.md).
ByteVector made_right(ByteVector tail) {
  if (tail.size() < kPackTrailerBytes) return tail;
  const std::size_t footer_bytes = tail.size() - kPackTrailerBytes;
  const MutableByteSpan trailer = MutableByteSpan(tail).subspan(footer_bytes);
  fuzz::put_checksum(trailer.subspan(24), checksum64(ByteSpan(tail).first(footer_bytes)));
  fuzz::put_checksum(trailer.subspan(32), checksum64(trailer.first(32)));
  std::memcpy(trailer.data() + 40, "ASHLPEND", 8);
  return tail;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t pack_bytes = 0;
  if (size < sizeof pack_bytes) return 0;
  std::memcpy(&pack_bytes, data, sizeof pack_bytes);
  const ByteSpan tail = fuzz::as_bytes(data, size).subspan(sizeof pack_bytes);
  decode_tail(tail, pack_bytes);
  decode_tail(made_right({tail.begin(), tail.end()}), pack_bytes);
  return 0;
}
