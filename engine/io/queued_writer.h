// QueuedWriter: many writes to one BlockDevice in flight, through io_uring.
//
// Writes complete in any order. The first failure is kept: later submits return it and write nothing. Where
// the kernel refuses io_uring, submit() writes by itself before it returns. Any thread may call.
//
// Life cycle: construct → submit()… → drain() → BlockDevice::sync(). The destructor waits for what is in
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
  unsigned depth = 32;           // writes in flight: with the size of a write, the memory bound
  std::optional<bool> io_uring;  // unset: for block devices; false: always write in submit()
};

class QueuedWriter {
 public:
  // `target` outlives the writer.
  explicit QueuedWriter(BlockDevice& target, const QueueOptions& options = {});
  ~QueuedWriter();
  QueuedWriter(const QueuedWriter&) = delete;
  QueuedWriter& operator=(const QueuedWriter&) = delete;

  // Queues the write of `bytes`, which `owner` keeps alive and nobody changes until the write is done. Waits
  // while the queue is full. An aligned offset, length and address let a device be written past the page
  // cache.
  Status submit(ByteOffset offset, ByteSpan bytes, std::shared_ptr<const void> owner);
  // The first `length` bytes of a buffer.
  Status submit(ByteOffset offset, AlignedBuffer buffer, std::size_t length);

  // Waits until nothing is in flight; the first failure of any write, if there was one.
  Status drain();

  bool uses_io_uring() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
