#include "inspect/signatures.h"

#include <blkid/blkid.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/interrupted.h"
#include "base/unique_fd.h"

namespace ashlar {
namespace {

// Magics lie in the first MiBs (the last known one is a LUKS header at 4 MiB); those of RAID members lie in
// the last one and a half MiB.
constexpr std::uint64_t kHeadBytes = (std::uint64_t{4} << 20U) + (std::uint64_t{64} << 10U);
constexpr std::uint64_t kTailBytes = std::uint64_t{2} << 20U;
constexpr std::size_t kPieceBytes = kFrameBytes;

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::size_t kMostPartitions = 128;
constexpr std::size_t kMostLogical = 100;  // libblkid follows no more

struct ProbeCloser {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, ProbeCloser>;

// Copies a range into a file. Blocks of zeros stay holes.
Status copy_range(const DiskPart& part, std::uint64_t first, std::uint64_t end, int file) {
  std::array<std::byte, kPieceBytes> piece{};
  for (std::uint64_t at = first; at < end; at += piece.size()) {
    const MutableByteSpan bytes = std::span(piece).first(std::min<std::uint64_t>(piece.size(), end - at));
    TRY(part.read(at, bytes));
    if (is_zero(bytes)) continue;
    if (::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(bytes.size()))
      return last_errno("write to memory");
  }
  return {};
}

// Returns the start, in sectors, of the extended partition of a table in the DOS format; 0 when there is
// none.
std::uint64_t extended_start(std::span<const std::byte, kSectorBytes> sector) {
  if (sector[510] != std::byte{0x55} || sector[511] != std::byte{0xaa}) return 0;
  for (std::size_t entry = 446; entry < 510; entry += 16) {
    const auto type = std::to_integer<unsigned>(sector[entry + 4]);
    if (type != 0x05 && type != 0x0f && type != 0x85) continue;
    std::uint64_t start = 0;
    for (std::size_t i = 4; i-- > 0;)
      start = start << 8U | std::to_integer<std::uint64_t>(sector[entry + 8 + i]);
    return start;
  }
  return 0;
}

// Copies the sectors that announce logical partitions. Each of them names the place of the next one, relative
// to the first.
Result<std::vector<ByteOffset>> copy_logical_chain(const DiskPart& disk, int file) {
  std::vector<ByteOffset> links;
  std::array<std::byte, kSectorBytes> sector{};
  if (!disk.contains(0, sector.size())) return links;
  TRY(disk.read(0, sector));
  const std::uint64_t first = extended_start(sector);
  std::uint64_t next = first;
  while (next != 0 && links.size() < kMostLogical) {
    const std::uint64_t at = next * kSectorBytes;
    if (!disk.contains(at, sector.size())) return links;
    links.push_back(ByteOffset{at});
    TRY(copy_range(disk, at, at + sector.size(), file));
    TRY(disk.read(at, sector));
    const std::uint64_t distance = extended_start(sector);
    next = distance == 0 ? 0 : first + distance;
  }
  return links;
}

Result<UniqueFd> copy_ends(const DiskPart& part) {
  UniqueFd file(::memfd_create("ashlar-inspect", MFD_CLOEXEC));
  if (!file.valid() ||
      uninterrupted([&] { return ::ftruncate(file.get(), static_cast<off_t>(part.size().value)); }) != 0)
    return last_errno("a file in memory");
  const std::uint64_t size = part.size().value;
  const std::uint64_t head = std::min(size, kHeadBytes);
  const std::uint64_t tail = std::max(head, size - std::min(size, kTailBytes));
  TRY(copy_range(part, 0, head, file.get()));
  TRY(copy_range(part, tail, size, file.get()));
  return file;
}

Result<Probe> begin_probe(int file) {
  Probe probe(blkid_new_probe());
  if (!probe || blkid_probe_set_device(probe.get(), file, 0, 0) != 0)
    return Error(ErrorCode::kIo, "libblkid can't be used");
  return probe;
}

std::string value_of(blkid_probe probe, const char* key) {
  const char* value = nullptr;
  return blkid_probe_lookup_value(probe, key, &value, nullptr) == 0 ? value : std::string();
}

std::string type_of(blkid_partition partition) {
  if (const char* guid = blkid_partition_get_type_string(partition)) {
    std::string text(guid);
    std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c | 0x20 : c; });
    return text;
  }
  return fmt::format("0x{:02x}", blkid_partition_get_type(partition));
}

void add_partition(blkid_partition found, const DiskPart& disk, PartitionTable& table) {
  if (blkid_partition_is_extended(found) != 0) return;  // it holds the logical partitions
  const auto number = static_cast<unsigned>(std::max(blkid_partition_get_partno(found), 0));
  const auto first = checked_mul(static_cast<std::uint64_t>(blkid_partition_get_start(found)), kSectorBytes);
  const auto size = checked_mul(static_cast<std::uint64_t>(blkid_partition_get_size(found)), kSectorBytes);
  if (!first || !size || *size == 0 || !disk.contains(*first, *size)) {
    table.faults.push_back(fmt::format("partition {} does not lie within the disk", number));
    return;
  }
  table.partitions.push_back({number, ByteOffset{*first}, ByteCount{*size}, type_of(found)});
}

}  // namespace

Result<PartitionTable> read_partition_table(const DiskPart& disk) {
  const UniqueFd file = TRY(copy_ends(disk));
  std::vector<ByteOffset> links = TRY(copy_logical_chain(disk, file.get()));
  const Probe probe = TRY(begin_probe(file.get()));
  PartitionTable table;
  const blkid_partlist found = blkid_probe_get_partitions(probe.get());
  if (!found) return table;
  const blkid_parttable kind = blkid_partlist_get_table(found);
  const char* type = kind ? blkid_parttable_get_type(kind) : nullptr;
  if (!type) return table;
  table.type = type;
  if (table.type == "dos") table.links = std::move(links);
  const auto count = static_cast<std::size_t>(std::max(blkid_partlist_numof_partitions(found), 0));
  table.partitions.reserve(std::min(count, kMostPartitions));
  for (std::size_t i = 0; i < std::min(count, kMostPartitions); ++i) {
    const blkid_partition one = blkid_partlist_get_partition(found, static_cast<int>(i));
    // A table within a partition, as BSD has them, is content of that partition.
    if (one && blkid_partition_get_table(one) == kind) add_partition(one, disk, table);
  }
  if (count > kMostPartitions)
    table.faults.push_back(fmt::format("{} partitions, of which {} are looked at", count, kMostPartitions));
  return table;
}

Result<Signature> find_signature(const DiskPart& part) {
  const UniqueFd file = TRY(copy_ends(part));
  const Probe probe = TRY(begin_probe(file.get()));
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC);
  const int found = blkid_do_safeprobe(probe.get());
  Signature signature;
  signature.is_ambiguous = found == -2;
  if (found != 0) return signature;  // -1 too: libblkid does not recognize the content
  signature.type = value_of(probe.get(), "TYPE");
  signature.label = value_of(probe.get(), "LABEL");
  return signature;
}

}  // namespace ashlar
