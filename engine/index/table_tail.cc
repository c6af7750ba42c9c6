#include "index/table_tail.h"

#include <array>
#include <cstdint>
#include <optional>

#include "io/file_system.h"

namespace ashlar {
namespace {

constexpr std::size_t kFooterBytes = 53;
constexpr std::size_t kTrailerBytes = 5;
constexpr int kMaxVarintBytes = 10;

// Decodes a little-endian base-128 number, as RocksDB and LevelDB write it.
std::optional<std::uint64_t> varint(ByteSpan bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size() && i < kMaxVarintBytes; ++i) {
    const auto byte = std::to_integer<std::uint64_t>(bytes[i]);
    value |= (byte & 0x7fU) << (7 * i);
    if (byte < 0x80U) return value;
  }
  return std::nullopt;
}

}  // namespace

bool table_is_safe_to_open(const std::string& path) {
  const auto file = posix_file_system().open(path, ReadMode::kCached);
  if (!file.ok()) return true;
  const auto size = file.value()->size();
  if (!size.ok() || size.value() < kFooterBytes) return true;
  std::array<std::byte, kFooterBytes> footer{};
  const std::uint64_t footer_offset = size.value() - kFooterBytes;
  if (!file.value()->read_at(footer_offset, footer).ok()) return true;
  const auto metaindex = varint(ByteSpan(footer).subspan(1));
  if (!metaindex || *metaindex <= kTrailerBytes || *metaindex > footer_offset) return true;
  std::array<std::byte, 1> last{};
  if (!file.value()->read_at(*metaindex - kTrailerBytes - 1, last).ok()) return true;
  return (last[0] & std::byte{0x80}) == std::byte{0};
}

}  // namespace ashlar
