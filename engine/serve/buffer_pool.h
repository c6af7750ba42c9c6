// BufferPool: page-aligned buffers that are reused, so that a request does not cost a call of the allocator.
// A pool belongs to one thread. Internal to the module.
//
// Sizes are rounded up to a power of two, at least 4 KiB; buffers of up to 1 MiB are kept, 16 MiB of them in
// all.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "base/bytes.h"

namespace ashlar {

class BufferPool {
 public:
  // Returns the size of the buffer that take() gives.
  static std::size_t size_of(std::size_t bytes) {
    const std::size_t size = std::bit_ceil(std::max(bytes, kSmallest));
    return size > kLargest ? bytes : size;
  }

  // Returns a buffer of at least `bytes` bytes; its contents are undefined.
  AlignedBuffer take(std::size_t bytes) {
    const std::size_t size = size_of(bytes);
    if (size > kLargest) return AlignedBuffer(size);
    std::vector<AlignedBuffer>& free = of_size(size);
    if (free.empty()) return AlignedBuffer(size);
    AlignedBuffer buffer = std::move(free.back());
    free.pop_back();
    kept_bytes_ -= size;
    return buffer;
  }

  void give_back(AlignedBuffer buffer) {
    const std::size_t size = buffer.size();
    if (size < kSmallest || size > kLargest || kept_bytes_ + size > kMostKept) return;
    kept_bytes_ += size;
    of_size(size).push_back(std::move(buffer));
  }

 private:
  static constexpr std::size_t kSmallest = 4096;
  static constexpr std::size_t kLargest = std::size_t{1} << 20U;
  static constexpr std::size_t kMostKept = std::size_t{16} << 20U;

  std::vector<AlignedBuffer>& of_size(std::size_t size) {
    return free_[static_cast<std::size_t>(std::countr_zero(size) - std::countr_zero(kSmallest))];
  }

  std::array<std::vector<AlignedBuffer>, 9> free_;  // 4 KiB, 8 KiB, … 1 MiB
  std::size_t kept_bytes_ = 0;
};

}  // namespace ashlar
