// ExtChannel: what libext2fs reads a file system through: a part of a disk, read-only, and no more of it than
// a budget. One thread.
//
// The budget is what ends walks that a hostile file system makes endless: every step of those reads.
#pragma once

#include <ext2fs/ext2fs.h>

#include <optional>

#include "inspect/disk.h"

namespace ashlar {

class ExtChannel {
 public:
  // `part` outlives it, and it outlives what open() opened.
  ExtChannel(const DiskPart& part, ByteCount budget);
  ExtChannel(const ExtChannel&) = delete;
  ExtChannel& operator=(const ExtChannel&) = delete;

  // ext2fs_open2() with `flags`.
  errcode_t open(int flags, ext2_filsys* file_system);

  // Whether a read was refused because the budget is spent.
  bool is_exhausted() const { return is_exhausted_; }
  // The first failure of the disk itself; libext2fs only heard that it could not read.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct Calls;
  errcode_t read(std::uint64_t block, int count, void* out);

  const DiskPart& part_;
  std::uint64_t budget_left_;
  bool is_exhausted_ = false;
  std::optional<Error> failure_;
  struct_io_channel channel_{};
};

}  // namespace ashlar
