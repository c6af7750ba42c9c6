// FileRange: a part of a file that holds a disk: the whole file, or one member of an OVA.
// Internal to the module.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "io/file_system.h"

namespace ashlar {

struct FileRange {
  const ReadableFile& file;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;

  // Fills `out` from `at`, which counts from the range's start. Returns kInvalid when that goes past its end.
  Status read(std::uint64_t at, MutableByteSpan out) const {
    if (at > bytes || out.size() > bytes - at) return invalid("is truncated: it ends within its header");
    if (TRY(file.read_at(offset + at, out)) != out.size()) return invalid("became shorter while it was read");
    return {};
  }
};

}  // namespace ashlar
