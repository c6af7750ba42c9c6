// ExtChannel: the channel through which libext2fs reads a file system: a part of a disk, read-only. It
// refuses reads that the budget does not allow, and all reads once it is told to stop. One thread.
// Internal to the module.
#pragma once

#include <ext2fs/ext2fs.h>

#include <optional>
#include <stop_token>

#include "inspect/budget.h"
#include "inspect/disk.h"

namespace ashlar {

class ExtChannel {
 public:
  // Makes a channel. `part` and `budget` outlive it, and it outlives the file system that open() opened.
  ExtChannel(const DiskPart& part, Budget& budget, std::stop_token stop);
  ExtChannel(const ExtChannel&) = delete;
  ExtChannel& operator=(const ExtChannel&) = delete;

  // Calls ext2fs_open2() with `flags`.
  errcode_t open(int flags, ext2_filsys* file_system);

  // Returns whether a read was refused because the budget is spent.
  bool is_exhausted() const { return is_exhausted_; }
  // Returns the first failure of the disk itself, or kCancelled. libext2fs was only told that the read
  // failed.
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
