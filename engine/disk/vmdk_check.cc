// VMDK in one file: a sparse extent that carries the text of its own descriptor. Other forms name the files
// that hold their data, and may name any.
//
// QEMU reads the embedded descriptor for its parent at sector 1, regardless of the header, and takes the
// extents from the descriptor when the header's capacity is 0.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/quantity.h"
#include "disk/header_check.h"
#include "disk/table_check.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::size_t kHeaderBytes = 512;
constexpr std::uint64_t kMaxDescriptorSectors = 128;
constexpr std::uint64_t kQemuDescriptorSectors = 20;  // DESC_SIZE of QEMU's block/vmdk.c
constexpr std::string_view kDescriptorStart = "# Disk DescriptorFile";
constexpr std::string_view kAdvice = ": make it one file with 'qemu-img convert' first";

Error leans_on_others(std::string_view what) { return invalid(std::string(what) + std::string(kAdvice)); }

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

bool is_extent(std::string_view line) {
  return line.starts_with("RW ") || line.starts_with("RDONLY ") || line.starts_with("NOACCESS ");
}

Result<std::string> read_sectors(const FileRange& disk, std::uint64_t first, std::uint64_t count) {
  std::string text(count * kSector, '\0');
  TRY(disk.read(first * kSector, std::as_writable_bytes(std::span(text))));
  return text;
}

// Returns the value of "key=value", without quotes.
std::string_view value_of(std::string_view line, std::string_view key) {
  std::string_view value = trimmed(line.substr(key.size()));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return value;
}

Status check_line(std::string_view line, std::size_t& extents) {
  if (is_extent(line)) {
    if (line.find(" SPARSE ") == std::string_view::npos)
      return leans_on_others("keeps its data in other files");
    if (++extents > 1) return leans_on_others("has more than one extent");
  }
  if (line.starts_with("createType=")) {
    const std::string_view type = value_of(line, "createType=");
    if (type != "monolithicSparse" && type != "streamOptimized")
      return leans_on_others(fmt::format("is a vmdk of type '{}'", type.substr(0, 64)));
  }
  if (line.starts_with("parentCID=") && value_of(line, "parentCID=") != "ffffffff")
    return leans_on_others("has a parent");
  return {};
}

Status check_descriptor(std::string_view text) {
  text = text.substr(0, text.find('\0'));
  if (!trimmed(text).starts_with(kDescriptorStart)) return invalid("has no descriptor of its own");
  std::size_t extents = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    TRY(check_line(trimmed(text.substr(0, end)), extents));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return extents == 1 ? Status() : invalid("has a descriptor without an extent");
}

// Refuses any mention of a parent: the descriptor of a disk without a parent has none.
Status check_no_parent(std::string_view text) {
  if (text.find("parentFileNameHint") != std::string_view::npos) return leans_on_others("has a parent");
  return {};
}

}  // namespace

Status check_vmdk_header(const FileRange& disk) {
  std::array<std::byte, kHeaderBytes> bytes{};
  if (disk.bytes < bytes.size()) return invalid("is not a vmdk image in one file");
  TRY(disk.read(0, bytes));
  if (trimmed(as_text(bytes)).starts_with(kDescriptorStart))
    return leans_on_others("is the descriptor of a vmdk in several files");
  ByteReader reader(bytes);
  if (!reader.expect("KDMV")) return invalid("is not a vmdk image in one file");
  const std::uint32_t version = reader.u32();
  reader.u32();  // flags
  const std::uint64_t capacity = reader.u64();
  reader.u64();  // sectors of a grain
  const std::uint64_t descriptor = reader.u64();
  const std::uint64_t descriptor_sectors = reader.u64();
  if (version < 1 || version > 3) return unsupported(fmt::format("is a vmdk image of version {}", version));
  if (capacity == 0) return leans_on_others("keeps its data in other files");
  if (capacity > kMaxVolumeBytes / kSector) return invalid("says that its disk is larger than 64 PiB");
  if (descriptor == 0 || descriptor_sectors == 0)
    return leans_on_others("is one extent of a vmdk in several files");
  if (descriptor_sectors > kMaxDescriptorSectors || descriptor > disk.bytes / kSector)
    return invalid("has a descriptor of an impossible size or place");
  const std::string own = TRY(read_sectors(disk, descriptor, descriptor_sectors));
  const std::uint64_t behind = disk.bytes / kSector - 1;
  const std::string qemus = TRY(read_sectors(disk, 1, std::min(kQemuDescriptorSectors, behind)));
  TRY(check_no_parent(own));
  TRY(check_no_parent(qemus));
  TRY(check_descriptor(own));
  return check_vmdk_tables(disk, bytes);
}

}  // namespace ashlar
