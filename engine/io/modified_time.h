// The time of a file's last change, as the file system of this host keeps it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace ashlar {

struct FileStamp {
  std::uint64_t bytes = 0;
  std::uint64_t modified_ns = 0;  // Unix time
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

Result<FileStamp> stamp_of(const std::string& path);
// Sets the time of the last change to now, to the nanosecond, and returns the stamp. Times that writes set
// are multiples of a clock tick: so a copy whose file has this stamp was read after this call.
Result<FileStamp> renew_stamp(const std::string& path);

}  // namespace ashlar
