// VMDK: a directory of tables; each table has an entry for each of its grains: the sector where the grain
// lies. A streamOptimized extent may keep the directory's place in a second header, the footer, near its end;
// its grains are compressed, and begin with their size.
#include <algorithm>

#include "base/quantity.h"
#include "disk/table_check.h"
#include "format/cursor.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kEntryBytes = 4;
constexpr std::uint64_t kDirectoryAtEnd = ~std::uint64_t{0};
constexpr std::uint32_t kHasZeroGrains = 1U << 2U;
constexpr std::uint32_t kZeroGrain = 1;
constexpr std::uint16_t kIsDeflated = 1;
constexpr std::uint64_t kMaxGrainSectors = 0x200000;  // QEMU's limits
constexpr std::uint64_t kMaxTableEntries = 512;
constexpr std::uint64_t kStep = 16UL * 1024;  // entries of the directory that are read at once

struct VmdkLayout {
  bool has_zero_grains = false;
  bool is_compressed = false;
  std::uint64_t capacity = 0;  // in sectors, as all that follow
  std::uint64_t grain = 0;
  std::uint64_t table_entries = 0;
  std::uint64_t directory = 0;
};

VmdkLayout layout_of(ByteSpan header) {
  ByteReader reader(header);
  VmdkLayout layout;
  reader.u32();  // magic
  reader.u32();  // version
  layout.has_zero_grains = (reader.u32() & kHasZeroGrains) != 0;
  layout.capacity = reader.u64();
  layout.grain = reader.u64();
  reader.u64();  // the descriptor
  reader.u64();  // its sectors
  layout.table_entries = reader.u32();
  reader.u64();  // a second directory
  layout.directory = reader.u64();
  reader.u64();  // where grains begin
  reader.bytes(5);
  layout.is_compressed = reader.u16() == kIsDeflated;
  return layout;
}

// Reads the layout from the footer, the middle one of the last three sectors: a mark, the footer, and the end
// mark.
Result<VmdkLayout> footer_layout(const FileRange& disk) {
  const std::uint64_t sectors = (disk.bytes + kSector - 1) / kSector;
  ByteVector footer(kSector);
  if (sectors < 3 || !holds(disk, (sectors - 2) * kSector, footer.size())) return part_is_missing();
  TRY(disk.read((sectors - 2) * kSector, footer));
  if (!as_text(footer).starts_with("KDMV")) return part_is_missing();
  return layout_of(footer);
}

class VmdkTables {
 public:
  VmdkTables(const FileRange& disk, const VmdkLayout& layout)
      : disk_(disk),
        layout_(layout),
        table_covers_(layout.table_entries * layout.grain),
        table_(layout.table_entries * kEntryBytes) {}

  Status check() {
    const std::uint64_t tables = (layout_.capacity + table_covers_ - 1) / table_covers_;
    if (!holds_sector(layout_.directory, tables * kEntryBytes)) return part_is_missing();
    ByteVector entries;
    for (std::uint64_t at = 0; at < tables; at += kStep) {
      entries.resize(std::min(kStep, tables - at) * kEntryBytes);
      TRY(disk_.read(layout_.directory * kSector + at * kEntryBytes, entries));
      ByteReader reader(entries);
      for (std::uint64_t i = at; i < std::min(at + kStep, tables); ++i) {
        const std::uint32_t table = reader.u32();
        if (table != 0) TRY(check_table(table, i * table_covers_));
      }
    }
    return {};
  }

 private:
  bool holds_sector(std::uint64_t sector, std::uint64_t bytes) const {
    return sector <= disk_.bytes / kSector && holds(disk_, sector * kSector, bytes);
  }

  // Checks a table. `covers_from` is the sector of the disk where the table's first grain belongs.
  Status check_table(std::uint64_t sector, std::uint64_t covers_from) {
    if (!holds_sector(sector, table_.size())) return part_is_missing();
    table_bytes_ += table_.size();
    if (table_bytes_ > disk_.bytes) return corrupt("is damaged: its tables are larger than the file");
    TRY(disk_.read(sector * kSector, table_));
    ByteReader reader(table_);
    const std::uint64_t end = std::min(covers_from + table_covers_, layout_.capacity);
    for (std::uint64_t place = covers_from; place < end; place += layout_.grain) {
      const std::uint32_t grain = reader.u32();
      const bool is_zeros = grain == 0 || (grain == kZeroGrain && layout_.has_zero_grains);
      // A compressed grain that was cut off does not unpack, and QEMU sees that: only its first sector is
      // checked.
      const std::uint64_t bytes =
          layout_.is_compressed ? kSector : std::min(layout_.grain, end - place) * kSector;
      if (!is_zeros && !holds_sector(grain, bytes)) return part_is_missing();
    }
    return {};
  }

  const FileRange& disk_;
  const VmdkLayout layout_;
  const std::uint64_t table_covers_;
  ByteVector table_;
  std::uint64_t table_bytes_ = 0;
};

}  // namespace

Status check_vmdk_tables(const FileRange& disk, ByteSpan header) {
  VmdkLayout layout = layout_of(header);
  if (layout.directory == kDirectoryAtEnd) layout = TRY(footer_layout(disk));
  const bool is_possible = layout.capacity <= kMaxVolumeBytes / kSector && layout.grain > 0 &&
                           layout.grain <= kMaxGrainSectors && layout.table_entries > 0 &&
                           layout.table_entries <= kMaxTableEntries;
  if (!is_possible) return corrupt("is damaged: its tables have an impossible size");
  return VmdkTables(disk, layout).check();
}

}  // namespace ashlar
