// Table checks: the tables of a disk say where in the file each part of the disk lies. QEMU reads zeros past
// the end of a file, and 'qemu-img check' accepts a file that ends within its last cluster: so no table entry
// may point past the end. Internal to the module.
//
// Called by the checks of headers (disk/header_check.h). Tables are read one by one; all of them together are
// never larger than the file, or it is damaged.
#pragma once

#include <cstdint>

#include "disk/file_range.h"

namespace ashlar {

// The fields of a qcow2 header, as QEMU's docs/interop/qcow2.txt names them.
struct Qcow2Layout {
  std::uint32_t version = 0;
  std::uint32_t cluster_bits = 0;
  std::uint64_t size = 0;  // size of the disk
  std::uint64_t l1_entries = 0;
  std::uint64_t l1_offset = 0;
  bool has_subclusters = false;  // "extended L2 entries"
};

// Checks the tables of a qcow2 image. Returns kCorrupt when a part is missing, or the tables can't be right.
Status check_qcow2_tables(const FileRange& disk, const Qcow2Layout& layout);

// Checks the tables of a sparse extent in the same way; `header` is its header.
Status check_vmdk_tables(const FileRange& disk, ByteSpan header);

inline bool holds(const FileRange& disk, std::uint64_t offset, std::uint64_t bytes) {
  return offset <= disk.bytes && bytes <= disk.bytes - offset;
}
inline Error part_is_missing() { return corrupt("is damaged or truncated: copy or download it again"); }

}  // namespace ashlar
