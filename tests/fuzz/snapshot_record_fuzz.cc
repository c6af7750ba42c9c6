// Fuzz target: a snapshot record, as it is, with a right checksum, and with a right content digest as well.
#include <algorithm>

#include "format/snapshot_record.h"
#include "fuzz/reseal.h"

namespace {

using ashlar::ByteVector;

// Stores the content digest that follows from size, level and root in the record (docs/format/snapshot.md).
ByteVector with_content_digest(ByteVector record) {
  constexpr std::size_t level_at = 14;
  constexpr std::size_t size_at = 40;
  constexpr std::size_t digest_at = 96;
  constexpr std::size_t content_at = 128;
  if (record.size() < content_at + 32) return record;
  std::uint64_t volume_bytes = 0;
  std::memcpy(&volume_bytes, record.data() + size_at, sizeof volume_bytes);
  ashlar::ContentDigest root;
  std::memcpy(root.bytes.data(), record.data() + digest_at, root.bytes.size());
  const auto content = ashlar::volume_digest(ashlar::ByteCount{volume_bytes},
                                             std::to_integer<std::uint8_t>(record[level_at]), root);
  std::copy(content.bytes.begin(), content.bytes.end(), record.begin() + content_at);
  return record;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ashlar::ByteSpan bytes = ashlar::fuzz::as_bytes(data, size);
  ashlar::fuzz::check_canonical(ashlar::decode_snapshot_record(bytes), bytes);
  const ByteVector sealed = ashlar::fuzz::resealed(with_content_digest({bytes.begin(), bytes.end()}));
  ashlar::fuzz::check_canonical(ashlar::decode_snapshot_record(sealed), sealed);
  return 0;
}
