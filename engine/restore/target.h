// Target: where a restore writes. A new file, an existing file, a block device, or a stream.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

struct TargetOptions {
  bool force = false;  // write although the target holds a known signature
};

class Target {
 public:
  Target() = default;
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  virtual ~Target() = default;

  virtual const std::string& name() const = 0;
  // True for a file made by this restore: it reads as zeros where nothing was written.
  virtual bool is_blank() const = 0;
  // Queues a write; `bytes` is copied or kept until done. Any thread. The first failure is kept and returned by later calls.
  virtual Status write(ByteOffset offset, ByteSpan bytes) = 0;
  virtual Status write_zeroes(ByteOffset offset, ByteCount bytes) = 0;
  virtual Status discard(ByteOffset offset, ByteCount bytes) = 0;
  // Past the page cache where the medium allows it.
  virtual Result<std::size_t> read(ByteOffset offset, MutableByteSpan out) = 0;
  // All writes done and durable; a new file gets its name.
  virtual Status finish() = 0;
};

// Opens `path` for a restore of `size` bytes. An existing target is never truncated; it is refused (kInvalid) when it is
// smaller, (kBusy) when it is mounted or used, or when it holds a known signature and neither `force` nor blank.
// A new file is written as `path`.partial and gets its name in finish(); a partial file left by an interrupted restore of
// the same snapshot is taken up: `resumed` tells, and only what differs is to be written.
struct OpenedTarget {
  std::unique_ptr<Target> target;
  bool resumed = false;
};
Result<OpenedTarget> open_target(const std::string& path, ByteCount size, const TargetOptions& options);

}  // namespace ashlar
