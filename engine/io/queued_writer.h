// QueuedWriter: many writes to one BlockDevice in flight, through io_uring.
//
// Writes complete in any order. The first failure is kept: later submits return it and write nothing. When
// the kernel refuses io_uring, submit() itself writes before it returns. Any thread may call.
//
// Life cycle: construct → submit()… → drain() → BlockDevice::sync(). The destructor waits for all writes in
// flight.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/quantity.h"
#include "base/result.h"
#include "io/block_device.h"

namespace ashlar {

struct QueueOptions {
  unsigned depth = 32;           // most writes in flight; times the size of a write, it bounds the memory
  std::optional<bool> io_uring;  // unset: only for block devices; false: submit() always writes itself
};

class QueuedWriter {
 public:
  // Writes to `target`, which must outlive the writer.
  explicit QueuedWriter(BlockDevice& target, const QueueOptions& options = {});
  ~QueuedWriter();
  QueuedWriter(const QueuedWriter&) = delete;
  QueuedWriter& operator=(const QueuedWriter&) = delete;

  // Queues the write of `bytes`. `owner` keeps them alive, and they must not change until the write is done.
  // Waits while the queue is full. When offset, length and address are aligned, a device is written past the
  // page cache.
  Status submit(ByteOffset offset, ByteSpan bytes, std::shared_ptr<const void> owner);
  // Queues the write of the first `length` bytes of a buffer.
  Status submit(ByteOffset offset, AlignedBuffer buffer, std::size_t length);

  // Waits until nothing is in flight. Returns the first failure of any write, if there was one.
  Status drain();

  bool uses_io_uring() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
