// Target: where a restore writes. A new file, an existing file, or a block device.
//
// A new file is written under another name (partial_name()) and gets its own in finish(); what an interrupted
// restore left under that name is taken up again. An existing target never grows or shrinks. A target is held
// by one Target at a time, in all processes.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"
#include "io/block_device.h"
#include "io/queued_writer.h"

namespace ashlar {

// "disk.raw" is written as "disk.raw.ashlar-partial".
std::string partial_name(const std::string& path);

class Target {
 public:
  // Opens `path` for a restore of `size` bytes. An existing target is refused when it is smaller (kInvalid),
  // in use or locked (kBusy), or when it holds a known signature (libblkid) and `force` is not given (kBusy).
  // A new name is refused when another restore writes to it (kBusy), when it is a symbolic link to nothing,
  // or when anything but a file of its own stands under its partial name (kInvalid).
  static Result<std::unique_ptr<Target>> open(const std::string& path, ByteCount size, bool force);
  // For reading alone, to compare.
  static Result<std::unique_ptr<Target>> open_to_compare(const std::string& path);

  const std::string& name() const { return path_; }
  ByteCount size() const { return device_->size(); }
  // Made by this restore: it reads as zeros where nothing was written.
  bool is_blank() const { return is_blank_; }
  // Left by an interrupted restore: what it holds may be right or not.
  bool is_resumed() const { return is_resumed_; }
  // The name that the bytes have now: partial_name() of a new file until finish().
  std::string written_name() const { return is_partial_ ? partial_name(path_) : path_; }

  // Writes `bytes`, which `owner` keeps alive until that is done. Any thread. The first failure is kept.
  Status write(ByteOffset offset, ByteSpan bytes, std::shared_ptr<const void> owner);
  Status write_zeroes(ByteOffset offset, ByteCount bytes) { return device_->write_zeroes(offset, bytes); }
  // kUnsupported where the medium can't.
  Status discard(ByteOffset offset, ByteCount bytes) { return device_->discard(offset, bytes); }
  // Fills `out` but for what lies behind the target's end; returns the bytes read. Past the page cache.
  Result<std::size_t> read(ByteOffset offset, MutableByteSpan out) const {
    return device_->read(offset, out);
  }
  // See BlockDevice. Between writes it may be out of date: for comparing and before writing.
  Result<ByteOffset> next_data(ByteOffset offset) const { return device_->next_data(offset); }
  // All writes done and durable; a new file keeps its partial name.
  Status sync();
  // sync(), then a new file gets its name.
  Status finish();

 private:
  Target(std::string path, std::unique_ptr<BlockDevice> device);
  static Result<std::unique_ptr<Target>> open_new(const std::string& path, ByteCount size);

  std::string path_;
  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<QueuedWriter> writer_;
  bool is_blank_ = false;
  bool is_resumed_ = false;
  bool is_partial_ = false;
};

}  // namespace ashlar
