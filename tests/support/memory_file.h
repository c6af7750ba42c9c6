// MemoryFile: a file in memory, with writers for the headers of disks.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "io/file_system.h"

namespace ashlar {

class MemoryFile : public ReadableFile {
 public:
  MemoryFile(const MemoryFile& other) : ReadableFile(), bytes_(other.bytes_) {}
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() override = default;
  explicit MemoryFile(std::size_t size) : bytes_(size) {}
  explicit MemoryFile(std::string_view text) : bytes_(text.size()) { put(0, text); }

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
    if (count > 0) std::memcpy(out.data(), bytes_.data() + offset, count);
    return count;
  }
  Result<std::uint64_t> size() const override { return bytes_.size(); }

  ByteVector& bytes() { return bytes_; }
  void put(std::size_t at, std::string_view text) {
    if (!text.empty()) std::memcpy(bytes_.data() + at, text.data(), text.size());
  }
  // Writes a number as `size` bytes, big-endian, at offset `at`.
  void big(std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) bytes_[at + i] = std::byte(value >> (8 * (size - 1 - i)) & 0xff);
  }
  void little(std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) bytes_[at + i] = std::byte(value >> (8 * i) & 0xff);
  }

 private:
  ByteVector bytes_;
};

}  // namespace ashlar
