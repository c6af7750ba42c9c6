// qcow2: a table of tables (L1); each second table (L2) fills a cluster and has an entry for every cluster of
// the disk. With subclusters an entry is followed by a bitmap of the 32nds of its cluster that are there.
#include <algorithm>
#include <bit>

#include "base/big_endian.h"
#include "disk/table_check.h"

namespace ashlar {
namespace {

constexpr std::uint32_t kMinClusterBits = 9;
constexpr std::uint32_t kMaxClusterBits = 21;
constexpr std::uint64_t kL1EntryBytes = 8;
constexpr std::uint64_t kL1Step = 8UL * 1024;  // entries that are read at once
constexpr std::uint64_t kOffset = 0x00fffffffffffe00;
constexpr std::uint64_t kIsCompressed = std::uint64_t{1} << 62U;
constexpr std::uint64_t kIsZero = 1;
constexpr std::uint64_t kSubclusters = 32;

class Qcow2Tables {
 public:
  Qcow2Tables(const FileRange& disk, const Qcow2Layout& layout)
      : disk_(disk),
        layout_(layout),
        cluster_(std::uint64_t{1} << layout.cluster_bits),
        entry_bytes_(layout.has_subclusters ? 16 : 8),
        table_covers_(cluster_ / entry_bytes_ * cluster_),
        table_(cluster_) {}

  Status check() {
    const std::uint64_t tables = layout_.size / table_covers_ + (layout_.size % table_covers_ != 0 ? 1 : 0);
    if (tables > layout_.l1_entries) return corrupt("is damaged: its table has no room for its disk");
    if (!holds(disk_, layout_.l1_offset, tables * kL1EntryBytes)) return part_is_missing();
    ByteVector entries;
    for (std::uint64_t at = 0; at < tables; at += kL1Step) {
      entries.resize(std::min(kL1Step, tables - at) * kL1EntryBytes);
      TRY(disk_.read(layout_.l1_offset + at * kL1EntryBytes, entries));
      for (std::uint64_t i = 0; i * kL1EntryBytes < entries.size(); ++i) {
        const auto entry = load_big_endian<std::uint64_t>(std::span(entries).subspan(i * kL1EntryBytes));
        if ((entry & kOffset) != 0) TRY(check_table(entry & kOffset, (at + i) * table_covers_));
      }
    }
    return {};
  }

 private:
  // Checks a second table. `covers_from` is the place on the disk of the table's first cluster.
  Status check_table(std::uint64_t offset, std::uint64_t covers_from) {
    if (!holds(disk_, offset, cluster_)) return part_is_missing();
    table_bytes_ += cluster_;
    if (table_bytes_ > disk_.bytes) return corrupt("is damaged: its tables are larger than the file");
    TRY(disk_.read(offset, table_));
    std::uint64_t place = covers_from;
    for (std::uint64_t at = 0; at < table_.size() && place < layout_.size; at += entry_bytes_) {
      const std::span<const std::byte> entry = std::span(table_).subspan(at, entry_bytes_);
      const std::uint64_t bytes = needed(entry, layout_.size - place);
      if (bytes > 0 && !holds(disk_, load_big_endian<std::uint64_t>(entry) & kOffset, bytes))
        return part_is_missing();
      place += cluster_;
    }
    return {};
  }

  // Returns how many bytes of an entry's cluster must be in the file; `left` is the size of the disk from
  // there. For a compressed cluster it is 0: one that was cut off does not unpack, and QEMU sees that.
  std::uint64_t needed(ByteSpan entry, std::uint64_t left) const {
    const auto words = load_big_endian<std::uint64_t>(entry);
    if ((words & kIsCompressed) != 0 || (words & kOffset) == 0) return 0;
    if (!layout_.has_subclusters)
      return layout_.version > 2 && (words & kIsZero) != 0 ? 0 : std::min(cluster_, left);
    const auto there = static_cast<std::uint32_t>(load_big_endian<std::uint64_t>(entry.subspan(8)));
    const auto count = static_cast<std::uint64_t>(std::bit_width(there));
    return std::min(count * (cluster_ / kSubclusters), left);
  }

  const FileRange& disk_;
  const Qcow2Layout layout_;
  const std::uint64_t cluster_;
  const std::uint64_t entry_bytes_;
  const std::uint64_t table_covers_;
  ByteVector table_;
  std::uint64_t table_bytes_ = 0;
};

}  // namespace

Status check_qcow2_tables(const FileRange& disk, const Qcow2Layout& layout) {
  if (layout.cluster_bits < kMinClusterBits || layout.cluster_bits > kMaxClusterBits)
    return corrupt("is damaged: it says that its clusters have an impossible size");
  return Qcow2Tables(disk, layout).check();
}

}  // namespace ashlar
