// Disk: the bytes of a disk image as an inspection reads them, and DiskPart, a window of it.
//
// The disk is not mounted, restored or shown to the kernel: each parser of its bytes reads the ones that it
// needs.
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
  // Fills `out` with the right bytes or returns an error. The range lies within the disk.
  virtual Status read(ByteOffset offset, MutableByteSpan out) const = 0;
  // Returns whether [offset, offset + bytes), which lies within the disk, is known to hold only zeros,
  // without reading it.
  virtual Result<bool> is_blank(ByteOffset offset, ByteCount bytes) const = 0;
};

// A window of a disk. Offsets count from the start of the part. The disk outlives it.
class DiskPart {
 public:
  // Makes a part, which has to lie within its disk.
  DiskPart(const Disk& disk, ByteOffset first, ByteCount size) : disk_(disk), first_(first), size_(size) {
    CHECK(first.value <= disk.size().value && size.value <= disk.size().value - first.value);
  }

  ByteOffset first() const { return first_; }
  ByteCount size() const { return size_; }
  // Returns whether a range lies within the part; for offsets that guests chose, so sums are checked.
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
  // Returns whether the range from `offset`, at most the size, to the end is known to hold only zeros.
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
