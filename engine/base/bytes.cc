#include "base/bytes.h"

#include <new>

namespace ashlar {
namespace {

constexpr std::size_t kAlignment = 4096;
constexpr std::size_t kStride = 128;

std::uint64_t load(const std::byte* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

}  // namespace

bool is_zero(ByteSpan bytes) {
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= kStride; p += kStride, left -= kStride) {
    std::uint64_t any = 0;
    for (std::size_t i = 0; i < kStride; i += 8) any |= load(p + i);
    if (any != 0) return false;
  }
  for (; left > 0; ++p, --left) {
    if (*p != std::byte{0}) return false;
  }
  return true;
}

AlignedBuffer::AlignedBuffer(std::size_t size)
    : data_(static_cast<std::byte*>(::operator new (size, std::align_val_t{kAlignment}))), size_(size) {}

void AlignedBuffer::Free::operator()(std::byte* p) const {
  ::operator delete (p, std::align_val_t{kAlignment});
}

}  // namespace ashlar
