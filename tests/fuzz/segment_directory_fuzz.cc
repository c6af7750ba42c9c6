// Fuzz target: a segment's directory, as it is, and with the right segment id and checksum.
#include <algorithm>

#include "format/pack_format.h"
#include "fuzz/reseal.h"

namespace {

using namespace ashlar;

constexpr std::size_t kIdAt = 64;
constexpr std::size_t kChecksumAt = 96;

// Makes id and checksum right if the head and the block count agree with the length (docs/format/pack.md).
ByteVector made_right(ByteVector bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return bytes;
  const auto expected = segment_directory_bytes(bytes);
  if (!expected.ok() || expected.value() != bytes.size()) return bytes;
  std::uint32_t block_count = 0;
  std::memcpy(&block_count, bytes.data() + 56, sizeof block_count);
  if (block_count > (bytes.size() - kSegmentHeaderBytes) / BlockId::kBytes) return bytes;
  std::vector<BlockId> blocks(block_count);
  const ByteSpan ids = ByteSpan(bytes).last(block_count * BlockId::kBytes);
  std::copy(ids.begin(), ids.end(), std::as_writable_bytes(std::span(blocks)).begin());
  const SegmentId id = segment_id(blocks);
  std::copy(id.bytes.begin(), id.bytes.end(), bytes.begin() + kIdAt);
  ByteVector body(bytes.begin(), bytes.begin() + kChecksumAt);
  body.insert(body.end(), bytes.begin() + kSegmentHeaderBytes, bytes.end());
  fuzz::put_checksum(MutableByteSpan(bytes).subspan(kChecksumAt), checksum64(body));
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes = fuzz::as_bytes(data, size);
  fuzz::check_canonical(decode_segment_directory(bytes), bytes);
  const ByteVector right = made_right({bytes.begin(), bytes.end()});
  fuzz::check_canonical(decode_segment_directory(right), right);
  return 0;
}
