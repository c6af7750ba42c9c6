// Disk formats: the formats in which other programs keep disks. A person states a format, or it is read from
// the name that the person gave; it is never guessed from the file's bytes, which may be a guest's.
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
// Returns QEMU's name for the format.
std::string_view qemu_driver(DiskFormat format);
// Parses the name of a format. Returns kInvalid with a message that lists the names when there is no such
// format.
Result<DiskFormat> parse_disk_format(std::string_view text);
// Returns the format that the ending of a file's name states, kInvalid when it states none. ".img" states
// none: some programs mean raw by it, others qcow2.
Result<DiskFormat> disk_format_of_name(std::string_view name);

}  // namespace ashlar
