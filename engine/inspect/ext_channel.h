// ExtChannel: what libext2fs reads a file system through: a part of a disk, read-only, no more of it than a
// budget has left, and nothing once it is told to stop. One thread.
#pragma once

#include <ext2fs/ext2fs.h>

#include <optional>
#include <stop_token>

#include "inspect/budget.h"
#include "inspect/disk.h"

namespace ashlar {

class ExtChannel {
 public:
  // `part` and `budget` outlive it, and it outlives what open() opened.
  ExtChannel(const DiskPart& part, Budget& budget, std::stop_token stop);
  ExtChannel(const ExtChannel&) = delete;
  ExtChannel& operator=(const ExtChannel&) = delete;

  // ext2fs_open2() with `flags`.
  errcode_t open(int flags, ext2_filsys* file_system);

  // Whether a read was refused because the budget is spent.
  bool is_exhausted() const { return is_exhausted_; }
  // The first failure of the disk itself, or kCancelled; libext2fs only heard that it could not read.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct Calls;
  errcode_t read(std::uint64_t block, int count, void* out);

  const DiskPart& part_;
  Budget& budget_;
  const std::stop_token stop_;
  bool is_exhausted_ = false;
  std::optional<Error> failure_;
  struct_io_channel channel_{};
};

}  // namespace ashlar
