// Disk: the bytes of a disk image as an inspection reads them, and DiskPart, a window of it.
//
// Nothing is mounted, restored or shown to the kernel: whoever parses the bytes asks for those it needs.
#pragma once

#include "base/bytes.h"
#include "base/checked.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

class Disk {
 public:
  Disk() = default;
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;
  virtual ~Disk() = default;

  virtual ByteCount size() const = 0;
  // Fills `out`; all of it lies within the disk. The right bytes or an error.
  virtual Status read(ByteOffset offset, MutableByteSpan out) const = 0;
  // Whether [offset, offset + bytes), which lies within the disk, is known to hold zeros alone, without
  // reading it.
  virtual Result<bool> is_blank(ByteOffset offset, ByteCount bytes) const = 0;
};

// Offsets count from the start of the part. The disk outlives it.
class DiskPart {
 public:
  // A part lies within its disk.
  DiskPart(const Disk& disk, ByteOffset first, ByteCount size) : disk_(disk), first_(first), size_(size) {
    CHECK(first.value <= disk.size().value && size.value <= disk.size().value - first.value);
  }

  ByteOffset first() const { return first_; }
  ByteCount size() const { return size_; }
  // For offsets that guests chose.
  bool contains(std::uint64_t offset, std::uint64_t bytes) const {
    const auto end = checked_add(offset, bytes);
    return end && *end <= size_.value;
  }

  Status read(std::uint64_t offset, MutableByteSpan out) const {
    CHECK(contains(offset, out.size()));
    return disk_.read(ByteOffset{first_.value + offset}, out);
  }
  Result<bool> is_blank(std::uint64_t offset, std::uint64_t bytes) const {
    CHECK(contains(offset, bytes));
    return disk_.is_blank(ByteOffset{first_.value + offset}, ByteCount{bytes});
  }
  // From `offset`, at most the size, to the end.
  Result<bool> is_blank_from(std::uint64_t offset) const {
    CHECK(contains(offset, 0));
    return is_blank(offset, size_.value - offset);
  }

 private:
  const Disk& disk_;
  ByteOffset first_;
  ByteCount size_;
};

}  // namespace ashlar
