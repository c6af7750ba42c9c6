#include "disk/header_check.h"

#include <fmt/format.h>

#include <array>

#include "base/big_endian.h"
#include "base/quantity.h"
#include "disk/table_check.h"

namespace ashlar {
namespace {

constexpr std::uint32_t kQcowMagic = 0x514649fb;  // "QFI" 0xfb
constexpr std::size_t kQcowHeaderBytes = 72;      // of version 2; version 3 continues with the features
constexpr std::uint64_t kVhdxSector = 512;
constexpr std::uint64_t kQcowDirty = 1U << 0U;
constexpr std::uint64_t kQcowCorrupt = 1U << 1U;
constexpr std::uint64_t kQcowExternalData = 1U << 2U;
constexpr std::uint64_t kQcowExtendedL2 = 1U << 4U;

Status check_qcow2_features(const FileRange& disk, Qcow2Layout& layout) {
  std::array<std::byte, sizeof(std::uint64_t)> bytes{};
  TRY(disk.read(kQcowHeaderBytes, bytes));
  const auto incompatible = load_big_endian<std::uint64_t>(bytes);
  if ((incompatible & kQcowExternalData) != 0)
    return invalid("keeps its data in another file: make it one file with 'qemu-img convert' first");
  if ((incompatible & kQcowCorrupt) != 0)
    return corrupt("is marked as corrupt: run 'qemu-img check' for details");
  if ((incompatible & kQcowDirty) != 0)
    return invalid("was not closed by the program that wrote it: 'qemu-img check -r all FILE' mends that");
  layout.has_subclusters = (incompatible & kQcowExtendedL2) != 0;
  return {};
}

Status check_qcow2_header(const FileRange& disk) {
  std::array<std::byte, kQcowHeaderBytes> bytes{};
  if (disk.bytes < bytes.size()) return invalid("is not a qcow2 image");
  TRY(disk.read(0, bytes));
  BigEndianReader reader(bytes);
  const std::uint32_t magic = reader.u32();
  const std::uint32_t version = reader.u32();
  const std::uint64_t backing_offset = reader.u64();
  const std::uint32_t backing_bytes = reader.u32();
  Qcow2Layout layout;
  layout.version = version;
  layout.cluster_bits = reader.u32();
  layout.size = reader.u64();
  const std::uint32_t encryption = reader.u32();
  layout.l1_entries = reader.u32();
  layout.l1_offset = reader.u64();
  if (magic != kQcowMagic) return invalid("is not a qcow2 image");
  if (version != 2 && version != 3) return unsupported(fmt::format("is a qcow image of version {}", version));
  if (backing_offset != 0 || backing_bytes != 0)
    return invalid("has a backing file: make it one file with 'qemu-img convert' first");
  if (encryption != 0) return unsupported("is encrypted: decrypt it with 'qemu-img convert' first");
  if (layout.size > kMaxVolumeBytes) return invalid("says that its disk is larger than 64 PiB");
  if (version == 3) TRY(check_qcow2_features(disk, layout));
  return check_qcow2_tables(disk, layout);
}

Status check_vhdx_header(const FileRange& disk) {
  constexpr std::string_view kMagic = "vhdxfile";
  std::array<std::byte, kMagic.size()> bytes{};
  if (disk.bytes < bytes.size()) return invalid("is not a vhdx image");
  TRY(disk.read(0, bytes));
  if (as_text(bytes) != kMagic) return invalid("is not a vhdx image");
  // QEMU counts the file in sectors and rounds the last one up.
  if (disk.bytes % kVhdxSector != 0) return part_is_missing();
  return {};  // QEMU refuses images with a parent, and never opens the parent
}

}  // namespace

Status check_header(DiskFormat format, const FileRange& disk) {
  switch (format) {
    case DiskFormat::kRaw:
      return {};
    case DiskFormat::kQcow2:
      return check_qcow2_header(disk);
    case DiskFormat::kVmdk:
      return check_vmdk_header(disk);
    case DiskFormat::kVhd:
      return check_vhd_footer(disk);
    case DiskFormat::kVhdx:
      return check_vhdx_header(disk);
  }
  return {};
}

}  // namespace ashlar
