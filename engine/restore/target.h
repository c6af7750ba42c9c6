// Target: the place that a restore writes to: a new file, an existing file, or a block device.
//
// A new file is written under another name (partial_name()) and gets its own name in finish(). A file that an
// interrupted restore left under the partial name is continued. An existing target never grows or shrinks.
// Only one Target at a time, in all processes, can hold the same target.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"
#include "io/block_device.h"
#include "io/queued_writer.h"

namespace ashlar {

// Returns the name during the restore: "disk.raw" is written as "disk.raw.ashlar-partial".
std::string partial_name(const std::string& path);

class Target {
 public:
  // Opens `path` for a restore of `size` bytes. Refuses an existing target that is smaller (kInvalid), in use
  // or locked (kBusy), or that has a known signature (libblkid) while `force` is false (kBusy). Refuses a new
  // name when another restore writes to it (kBusy), when it lies in /dev (kNotFound), and when it is a
  // dangling symbolic link (kInvalid). Refuses a partial file that is not a regular file of one name
  // (kInvalid) or is of another size (kBusy).
  static Result<std::unique_ptr<Target>> open(const std::string& path, ByteCount size, bool force);
  // Opens `path` for reading only, to compare.
  static Result<std::unique_ptr<Target>> open_to_compare(const std::string& path);

  const std::string& name() const { return path_; }
  ByteCount size() const { return device_->size(); }
  // Returns whether this restore created the file; it then reads as zeros where no bytes were written.
  bool is_blank() const { return is_blank_; }
  // Returns whether an interrupted restore left the file; its contents may be right or wrong.
  bool is_resumed() const { return is_resumed_; }
  // Returns the present name of the file: partial_name() of a new file until finish().
  std::string written_name() const { return is_partial_ ? partial_name(path_) : path_; }

  // Writes `bytes`, which `owner` keeps alive until the write is done. Any thread. The first failure is kept
  // and returned by later calls.
  Status write(ByteOffset offset, ByteSpan bytes, std::shared_ptr<const void> owner);
  Status write_zeroes(ByteOffset offset, ByteCount bytes) { return device_->write_zeroes(offset, bytes); }
  // Discards a range. Fails with kUnsupported where the medium cannot discard.
  Status discard(ByteOffset offset, ByteCount bytes) { return device_->discard(offset, bytes); }
  // Fills `out` up to the target's end and returns the number of bytes read. Reads past the page cache.
  Result<std::size_t> read(ByteOffset offset, MutableByteSpan out) const {
    return device_->read(offset, out);
  }
  // Finds the next data; see BlockDevice. While writes run the answer may be out of date, so it serves for
  // comparing and before writing.
  Result<ByteOffset> next_data(ByteOffset offset) const { return device_->next_data(offset); }
  // Waits until all writes are done and durable; a new file keeps its partial name.
  Status sync();
  // Calls sync() and then gives a new file its name.
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
