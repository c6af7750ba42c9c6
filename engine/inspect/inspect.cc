#include "inspect/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/units.h"
#include "inspect/ext_file_system.h"
#include "inspect/file_walk.h"
#include "inspect/signatures.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kSwapHeaderBytes = 4096;
constexpr std::string_view kEfiSystem = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
constexpr auto kEfiSystemTypes = std::to_array<std::string_view>({kEfiSystem, "0xef"});
// BIOS boot and PReP boot: programs without a file system.
constexpr auto kBootProgramTypes = std::to_array<std::string_view>(
    {"21686148-6449-6e6f-744e-656564454649", "9e1a2d38-c612-4316-aa26-8b49521e5a8b", "0x41"});

// Expected outside of partitions: the table and GRUB's core image in the first MiB, a GPT's second copy at
// the end, the sectors that announce logical partitions, and any bytes in gaps made by alignment.
constexpr std::uint64_t kTableBytes = std::uint64_t{1} << 20U;
constexpr std::uint64_t kSecondTableBytes = std::uint64_t{64} << 10U;
constexpr std::uint64_t kAlignmentBytes = std::uint64_t{1} << 20U;

bool is_among(std::string_view word, auto&& words) {
  return std::ranges::find(words, word) != std::ranges::end(words);
}

Status inspect_ext(const DiskPart& bytes, Budget& budget, DiskReport& report, InspectedPart& part,
                   const std::stop_token& stop) {
  const auto opened = ExtFileSystem::open(bytes, budget, stop);
  if (!opened.ok() && opened.error().code() != ErrorCode::kInvalid) return opened.error();
  if (!opened.ok()) {
    add_doubt(part, opened.error().text());
    return {};
  }
  const ExtFileSystem& files = *opened.value();
  part.is_looked_into = true;
  if (files.needs_recovery()) add_doubt(part, "it was not unmounted: its journal is not replayed here");
  if (files.has_errors()) add_doubt(part, "it is marked as damaged");
  TRY(FileWalk(files, budget, report, part, stop).run());
  if (const auto& failure = files.failure()) return Error(failure->code(), failure->text());
  return {};
}

Status inspect_swap(const DiskPart& bytes, DiskReport& report, InspectedPart& part) {
  part.is_looked_into = true;
  const std::uint64_t header = std::min(kSwapHeaderBytes, bytes.size().value);
  if (part.type == "swap" && TRY(bytes.is_blank_from(header))) {
    part.note = "holds nothing";
  } else {
    add_finding(report, {part.partition, "", "swap", "holds what was in the template's memory"});
  }
  return {};
}

// Inspects a partition or a whole disk. `type` is the type in the partition table, empty without one.
Status inspect_part(const DiskPart& bytes, unsigned number, std::string_view type, Budget& budget,
                    DiskReport& report, const std::stop_token& stop) {
  InspectedPart part;
  part.partition = number;
  part.first = bytes.first();
  part.size = bytes.size();
  if (TRY(bytes.is_blank_from(0))) {
    part.is_looked_into = true;
    part.note = "blank";
    report.parts.push_back(std::move(part));
    return {};
  }
  const Signature signature = TRY(find_signature(bytes));
  part.type = printable(signature.type);
  part.label = printable(signature.label);
  if (signature.is_ambiguous) {
    add_doubt(part, "it looks like several things at once");
  } else if (signature.type.starts_with("ext") || signature.type == "jbd") {
    TRY(inspect_ext(bytes, budget, report, part, stop));
  } else if (signature.type == "swap" || signature.type == "swsuspend") {
    TRY(inspect_swap(bytes, report, part));
  } else if (signature.type == "vfat" && is_among(type, kEfiSystemTypes)) {
    part.note = "EFI system partition: boot loader";
  } else if (signature.type.empty() && is_among(type, kBootProgramTypes)) {
    part.note = "boot loader";
  } else if (signature.type.empty()) {
    add_doubt(part,
              number == 0 ? "no partition table or file system that is known" : "nothing that is known");
  } else {
    add_doubt(part, part.type + " is not looked into");
  }
  report.parts.push_back(std::move(part));
  return {};
}

struct Stretch {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
};

// Returns the ranges that the table accounts for, sorted, in whole blocks: bytes of a partition that share a
// block with a gap must not count as the gap's.
std::vector<Stretch> stretches_of(const PartitionTable& table, std::uint64_t size) {
  std::vector<Stretch> taken = {{0, kTableBytes}, {size - std::min(size, kSecondTableBytes), size}};
  taken.reserve(taken.size() + table.partitions.size() + table.links.size());
  for (const Partition& one : table.partitions)
    taken.push_back({one.first.value, one.first.value + one.size.value});
  for (const ByteOffset link : table.links) taken.push_back({link.value, link.value + 1});
  for (Stretch& one : taken) {
    one.first -= one.first % kBlockBytes;
    one.end = std::min(size, one.end + (kBlockBytes - one.end % kBlockBytes) % kBlockBytes);
  }
  std::ranges::sort(taken, {}, &Stretch::first);
  return taken;
}

// Adds a doubt for each gap with data: it lies in no partition, or was left by a former one, and is not
// looked into.
Status inspect_gaps(const DiskPart& whole, const PartitionTable& table, InspectedPart& around) {
  std::uint64_t at = 0;
  for (const Stretch& taken : stretches_of(table, whole.size().value)) {
    if (taken.first > at && taken.first - at > kAlignmentBytes && !TRY(whole.is_blank(at, taken.first - at)))
      add_doubt(around, fmt::format("data outside of partitions, in the {} at {}, is not looked into",
                                    format_size(taken.first - at), format_size(at)));
    at = std::max(at, taken.end);
  }
  return {};
}

// Inspects a disk outside of its partitions. It may have both a partition table and a file system of its own:
// CD images for USB sticks do.
Status inspect_around(const DiskPart& whole, const PartitionTable& table, DiskReport& report) {
  InspectedPart around;
  around.size = whole.size();
  const Signature signature = TRY(find_signature(whole));
  around.type = printable(signature.type);
  if (signature.is_ambiguous) add_doubt(around, "it looks like several things at once");
  if (!signature.type.empty())
    add_doubt(around, around.type + " over the whole disk, beside its partitions, is not looked into");
  for (const std::string& fault : table.faults) add_doubt(around, fault);
  TRY(inspect_gaps(whole, table, around));
  if (!around.doubts.empty()) report.parts.push_back(std::move(around));
  return {};
}

}  // namespace

Result<DiskReport> inspect_disk(const Disk& disk, const std::stop_token& stop) {
  DiskReport report;
  Budget budget;
  const DiskPart whole(disk, ByteOffset{0}, disk.size());
  const PartitionTable table = TRY(read_partition_table(whole));
  report.partition_table = table.type;
  if (table.type.empty()) {
    TRY(inspect_part(whole, 0, "", budget, report, stop));
    return report;
  }
  TRY(inspect_around(whole, table, report));
  for (const Partition& partition : table.partitions) {
    if (stop.stop_requested()) return cancelled();
    TRY(inspect_part(DiskPart(disk, partition.first, partition.size), partition.number, partition.type,
                     budget, report, stop));
  }
  return report;
}

}  // namespace ashlar
