// BlockDevice: an existing block device or a regular file, addressed by bytes, as the target of a restore.
//
// Devices are opened past the page cache (O_DIRECT) and, for writing, exclusively (O_EXCL): one that is
// mounted or in use is refused as kBusy. Files go through the page cache when written; one that is opened for
// writing is locked (flock) as long as this lives, and refused as kBusy when somebody else has that lock or
// any fcntl() lock on it. A target never grows or shrinks: a range that does not lie within size() is
// kInvalid. Any thread may call; overlapping writes at the same time are the caller's mistake. Nothing is
// durable before sync() returned ok.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "io/file_system.h"

namespace ashlar {

enum class DeviceAccess : unsigned char { kRead, kReadWrite };

class BlockDevice {
 public:
  static Result<std::unique_ptr<BlockDevice>> open(const std::string& path, DeviceAccess access);
  // A new regular file of `size` bytes that is one hole; EEXIST (in error_number()) when the name is taken.
  static Result<std::unique_ptr<BlockDevice>> create_file(const std::string& path, ByteCount size);
  // For writing, a regular file that has this name and no other. A symbolic link is not followed: kInvalid.
  static Result<std::unique_ptr<BlockDevice>> open_own_file(const std::string& path);

  const std::string& path() const { return path_; }
  bool is_device() const { return is_device_; }
  ByteCount size() const { return size_; }
  // The logical sector of a device (512 or 4096); 1 for a file.
  std::uint64_t sector_bytes() const { return sector_bytes_; }

  // Past the page cache where the medium allows it, at any offset and length. Short at the end only.
  Result<std::size_t> read(ByteOffset offset, MutableByteSpan out) const;
  // The first place at or after `offset` that may hold something else than zeros: all before it is a hole of
  // the file. size() when the rest is one hole; `offset` where nothing can tell: on a device, and on a file
  // system whose holes are not trusted (io/file_use.h). The map is the one of when the file was opened or
  // later.
  Result<ByteOffset> next_data(ByteOffset offset) const;
  // Writes all of `bytes`, any offset and length.
  Status write(ByteOffset offset, ByteSpan bytes);
  // The range reads as zeros afterwards. Quick where the medium can (BLKZEROOUT, a punched hole), else
  // written.
  Status write_zeroes(ByteOffset offset, ByteCount bytes);
  // Gives the range back to the medium; what it reads as afterwards is undefined on a device, zeros on a
  // file. Whole sectors only: the rest of the range keeps its bytes. kUnsupported when the medium can't.
  Status discard(ByteOffset offset, ByteCount bytes);
  Status sync();

  // kBusy when path() does not lead to this file any more.
  Status check_name() const;
  // The descriptor that takes a write of `bytes` at `offset`: the direct one when both and the memory are
  // aligned.
  int write_fd(ByteOffset offset, ByteSpan bytes) const;
  Status check_range(ByteOffset offset, std::uint64_t bytes) const;

 private:
  BlockDevice() = default;
  Status open_descriptors(DeviceAccess access);
  Status claim_file();
  Status measure();
  Status write_plain_zeroes(std::uint64_t offset, std::uint64_t bytes);
  Error error(int error_number, const char* operation, std::uint64_t offset, std::uint64_t bytes) const;

  std::string path_;
  UniqueFd fd_;         // through the page cache
  UniqueFd direct_fd_;  // devices only, and only when the device takes O_DIRECT
  std::unique_ptr<ReadableFile> reader_;
  bool is_device_ = false;
  bool holes_trusted_ = false;
  ByteCount size_;
  std::uint64_t sector_bytes_ = 1;
};

}  // namespace ashlar
