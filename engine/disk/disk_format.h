// Formats in which other programs keep disks. A format is stated by a person, or read from the name that the
// person gave; never from the file's bytes, which may be a guest's.
#pragma once

#include <string_view>

#include "base/result.h"

namespace ashlar {

enum class DiskFormat : unsigned char {
  kRaw,
  kQcow2,
  kVmdk,  // one file: monolithicSparse or streamOptimized
  kVhd,   // fixed or dynamic
  kVhdx,
};

std::string_view disk_format_name(DiskFormat format);
// QEMU's word for it.
std::string_view qemu_driver(DiskFormat format);
// kInvalid, and the message lists the words that there are.
Result<DiskFormat> parse_disk_format(std::string_view text);
// By the ending of a file's name. kInvalid for one that does not tell; ".img" does not: some mean raw by it,
// others qcow2.
Result<DiskFormat> disk_format_of_name(std::string_view name);

}  // namespace ashlar
