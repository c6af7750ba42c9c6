// BlockDevice: an existing block device or a regular file, addressed by bytes, as the target of a restore.
//
// A block device is opened past the page cache (O_DIRECT) and, for writing, exclusively (O_EXCL): a device
// that is mounted or in use is refused with kBusy. A file is written through the page cache. A file that is
// opened for writing is locked (flock) as long as this object lives; it is refused with kBusy when another
// open file has that lock or another program has any fcntl() lock on it. A target never grows or shrinks: a
// range that does not lie within size() is kInvalid.
//
// Any thread may call; overlapping writes at the same time are a mistake of the caller. Data is durable only
// after sync() returned ok.
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
  // Creates a regular file of `size` bytes that is one hole. Fails with EEXIST (in error_number()) when the
  // name is taken.
  static Result<std::unique_ptr<BlockDevice>> create_file(const std::string& path, ByteCount size);
  // Opens for writing a regular file that has this name and no other. Does not follow a symbolic link:
  // returns kInvalid.
  static Result<std::unique_ptr<BlockDevice>> open_own_file(const std::string& path);

  const std::string& path() const { return path_; }
  bool is_device() const { return is_device_; }
  ByteCount size() const { return size_; }
  // Returns the logical sector of a device (512 or 4096 bytes); 1 for a file.
  std::uint64_t sector_bytes() const { return sector_bytes_; }

  // Reads past the page cache where the medium allows it, at any offset and length. The result is short only
  // at the end of the device or file.
  Result<std::size_t> read(ByteOffset offset, MutableByteSpan out) const;
  // Returns the first place at or after `offset` that may hold other bytes than zeros: everything before it
  // is a hole of the file. Returns size() when the rest is one hole. Returns `offset` when holes can't be
  // found: on a device, and on a file system whose holes are not trusted (io/file_use.h). The map of holes is
  // that of the time when the file was opened, or a later one.
  Result<ByteOffset> next_data(ByteOffset offset) const;
  // Writes all of `bytes`, at any offset and length.
  Status write(ByteOffset offset, ByteSpan bytes);
  // Makes the range read as zeros. Fast when the medium can do it (BLKZEROOUT, a punched hole); otherwise
  // zeros are written.
  Status write_zeroes(ByteOffset offset, ByteCount bytes);
  // Gives the range back to the medium. Afterwards it reads as zeros on a file, and as undefined bytes on a
  // device. Only whole sectors are given back; the rest of the range keeps its bytes. Returns kUnsupported
  // when the medium can't discard.
  Status discard(ByteOffset offset, ByteCount bytes);
  Status sync();

  // Returns kBusy when path() does not lead to the open file.
  Status check_name() const;
  // Returns the descriptor for a write of `bytes` at `offset`: the direct one when offset, length and address
  // are aligned.
  int write_fd(ByteOffset offset, ByteSpan bytes) const;
  Status check_range(ByteOffset offset, std::uint64_t bytes) const;

 private:
  BlockDevice() = default;
  Status open_descriptors(DeviceAccess access);
  Status claim_file();
  Status make_file(ByteCount size);
  Status measure();
  Status write_plain_zeroes(std::uint64_t offset, std::uint64_t bytes);
  Error error(int error_number, const char* operation, std::uint64_t offset, std::uint64_t bytes) const;

  std::string path_;
  UniqueFd fd_;         // for access through the page cache
  UniqueFd direct_fd_;  // only for devices that accept O_DIRECT
  std::unique_ptr<ReadableFile> reader_;
  bool is_device_ = false;
  bool holes_trusted_ = false;
  ByteCount size_;
  std::uint64_t sector_bytes_ = 1;
};

}  // namespace ashlar
