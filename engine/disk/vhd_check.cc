// VHD: the last 512 bytes are the footer; dynamic disks begin with a copy of it, fixed ones with the guest's
// first sector. QEMU trusts the first sector when it looks like a footer, so a fixed disk whose guest wrote
// one there is refused. QEMU also reads zeros where a block lies past the end of the file, so the table of a
// dynamic disk is checked here.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/big_endian.h"
#include "base/quantity.h"
#include "disk/header_check.h"

namespace ashlar {
namespace {

constexpr std::size_t kFooterBytes = 512;
constexpr std::string_view kCookie = "conectix";
constexpr std::size_t kHeaderPlaceAt = 16;
constexpr std::size_t kSizeAt = 48;
constexpr std::size_t kTypeAt = 60;
constexpr std::size_t kChecksumAt = 64;

// Fields of the header of a dynamic disk.
constexpr std::size_t kHeaderBytes = 1024;
constexpr std::string_view kHeaderCookie = "cxsparse";
constexpr std::size_t kTablePlaceAt = 16;
constexpr std::size_t kTableCountAt = 28;
constexpr std::size_t kBlockBytesAt = 32;
constexpr std::uint64_t kSector = 512;
constexpr std::uint32_t kUnusedBlock = 0xffffffff;
constexpr std::uint64_t kMaxTableEntries = 1UL << 22U;  // limit of the format: 2040 GiB, by 2 MiB or 512 KiB
constexpr std::size_t kTableStep = 16UL * 1024;

using Footer = std::array<std::byte, kFooterBytes>;
enum class VhdType : std::uint32_t { kFixed = 2, kDynamic = 3, kDifferencing = 4 };

bool is_footer(const Footer& footer) { return as_text(footer).starts_with(kCookie); }

VhdType type_of(const Footer& footer) {
  return static_cast<VhdType>(load_big_endian<std::uint32_t>(std::span(footer).subspan(kTypeAt)));
}

// Returns whether the checksum is the ones' complement of the sum of all other bytes.
bool has_right_checksum(const Footer& footer) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < footer.size(); ++at) {
    const bool is_sum = at >= kChecksumAt && at < kChecksumAt + sizeof sum;
    if (!is_sum) sum += std::to_integer<std::uint32_t>(footer[at]);
  }
  return ~sum == load_big_endian<std::uint32_t>(std::span(footer).subspan(kChecksumAt));
}

struct BlockTable {
  std::uint64_t place = 0;
  std::uint64_t entries = 0;      // entries that the disk's size needs
  std::uint64_t block_bytes = 0;  // size in the file, with the bitmap of sectors before it
};

Result<BlockTable> block_table(const FileRange& disk, const Footer& footer) {
  std::array<std::byte, kHeaderBytes> header{};
  const std::span bytes(header);
  TRY(disk.read(load_big_endian<std::uint64_t>(std::span(footer).subspan(kHeaderPlaceAt)), header));
  const auto size = load_big_endian<std::uint64_t>(std::span(footer).subspan(kSizeAt));
  const std::uint64_t count = load_big_endian<std::uint32_t>(bytes.subspan(kTableCountAt));
  const std::uint64_t block = load_big_endian<std::uint32_t>(bytes.subspan(kBlockBytesAt));
  if (!as_text(header).starts_with(kHeaderCookie) || block < kSector || (block & (block - 1)) != 0)
    return corrupt("is damaged: it has no header of a dynamic disk");
  BlockTable table;
  table.place = load_big_endian<std::uint64_t>(bytes.subspan(kTablePlaceAt));
  table.entries = (size + block - 1) / block;
  const std::uint64_t bitmap = block / kSector / 8;
  table.block_bytes = (bitmap + kSector - 1) / kSector * kSector + block;
  if (table.entries > count || table.entries > kMaxTableEntries)
    return corrupt("is damaged: its table has no room for its disk");
  return table;
}

Status check_blocks(const FileRange& disk, const Footer& footer) {
  const BlockTable table = TRY(block_table(disk, footer));
  const std::uint64_t end = disk.bytes - kFooterBytes;
  ByteVector entries;
  for (std::uint64_t at = 0; at < table.entries; at += kTableStep) {
    entries.resize(std::min<std::uint64_t>(kTableStep, table.entries - at) * sizeof(std::uint32_t));
    TRY(disk.read(table.place + at * sizeof(std::uint32_t), entries));
    for (std::size_t i = 0; i < entries.size(); i += sizeof(std::uint32_t)) {
      const auto sector = load_big_endian<std::uint32_t>(std::span(entries).subspan(i));
      if (sector != kUnusedBlock && sector * kSector + table.block_bytes > end)
        return corrupt("is damaged or truncated: copy or download it again");
    }
  }
  return {};
}

Status check_type(const Footer& footer, std::uint64_t file_bytes) {
  const auto size = load_big_endian<std::uint64_t>(std::span(footer).subspan(kSizeAt));
  if (size > kMaxVolumeBytes) return invalid("says that its disk is larger than 64 PiB");
  switch (type_of(footer)) {
    case VhdType::kFixed:
      if (size != file_bytes - kFooterBytes)
        return corrupt(
            fmt::format("says that its disk has {} bytes, but holds {}", size, file_bytes - kFooterBytes));
      return {};
    case VhdType::kDynamic:
      return {};
    case VhdType::kDifferencing:
      return invalid("is a differencing disk: merge it with its parent first");
  }
  return unsupported(fmt::format("is a vhd image of type {}", static_cast<std::uint32_t>(type_of(footer))));
}

}  // namespace

Status check_vhd_footer(const FileRange& disk) {
  Footer first{};
  Footer last{};
  if (disk.bytes < kFooterBytes) return invalid("is not a vhd image");
  TRY(disk.read(0, first));
  TRY(disk.read(disk.bytes - kFooterBytes, last));
  if (!is_footer(last)) return invalid("is not a vhd image: there is no footer at its end");
  if (!has_right_checksum(last)) return corrupt("is damaged: the checksum of its footer is wrong");
  TRY(check_type(last, disk.bytes));
  if (type_of(last) == VhdType::kFixed) {
    if (is_footer(first))
      return unsupported(
          "is a fixed disk whose first sector is made to look like a vhd header: cut the last 512 "
          "bytes off and import the rest as raw");
    return {};
  }
  if (first != last) return corrupt("is damaged: its footer and the copy at its start differ");
  return check_blocks(disk, last);
}

}  // namespace ashlar
