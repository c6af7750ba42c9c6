// Whole reads and writes on a file descriptor: interrupted and partial calls are taken up again.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace ashlar {

// Writes all of `bytes` to a file, pipe or terminal. `what` names it in the error.
Status write_all(int fd, ByteSpan bytes, const std::string& what);
// Reads until `out` is full or the file ends; returns the bytes read.
Result<std::size_t> read_full(int fd, MutableByteSpan out, const std::string& what);
// Reads until the end of the file or stream; kInvalid once there are more than `limit` bytes.
Result<std::string> read_all(int fd, std::size_t limit, const std::string& what);

}  // namespace ashlar
