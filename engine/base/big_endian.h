// Big-endian integers, read from bytes and written to bytes, as NBD and the disk formats of other programs
// have them.
//
// A BigEndianReader never reads past its end. The first read that is too short makes it fail, and from then
// on it returns zeros. So a decoder reads all its fields in a row and asks done() before it believes them.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace ashlar {

template <std::unsigned_integral T>
T load_big_endian(ByteSpan bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = value << 8U | std::to_integer<std::uint64_t>(bytes[i]);
  return static_cast<T>(value);
}

class BigEndianReader {
 public:
  explicit BigEndianReader(ByteSpan bytes) : rest_(bytes) {}

  std::uint16_t u16() { return integer<std::uint16_t>(); }
  std::uint32_t u32() { return integer<std::uint32_t>(); }
  std::uint64_t u64() { return integer<std::uint64_t>(); }

  // Returns the next `size` bytes as a view. When there are fewer, fails and returns an empty view.
  ByteSpan bytes(std::size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const ByteSpan taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }

  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  template <std::unsigned_integral T>
  T integer() {
    const ByteSpan raw = bytes(sizeof(T));
    return raw.size() == sizeof(T) ? load_big_endian<T>(raw) : T{0};
  }

  ByteSpan rest_;
  bool ok_ = true;
};

// A writer into memory that the caller has made large enough.
class BigEndianWriter {
 public:
  explicit BigEndianWriter(std::byte* at) : at_(at) {}
  BigEndianWriter& u16(std::uint16_t v) { return put(v); }
  BigEndianWriter& u32(std::uint32_t v) { return put(v); }
  BigEndianWriter& u64(std::uint64_t v) { return put(v); }

  template <std::unsigned_integral T>
  BigEndianWriter& put(T v) {
    for (std::size_t i = sizeof(T); i-- > 0;) {
      *at_++ = static_cast<std::byte>(static_cast<std::uint64_t>(v) >> (8 * i) & 0xffU);
    }
    return *this;
  }
  std::byte* end() const { return at_; }

 private:
  std::byte* at_;
};

// A writer that appends to a vector.
class BigEndianAppender {
 public:
  explicit BigEndianAppender(ByteVector& out) : out_(out) {}
  BigEndianAppender& u16(std::uint16_t v) { return integer(v); }
  BigEndianAppender& u32(std::uint32_t v) { return integer(v); }
  BigEndianAppender& u64(std::uint64_t v) { return integer(v); }
  BigEndianAppender& bytes(ByteSpan v) {
    out_.insert(out_.end(), v.begin(), v.end());
    return *this;
  }
  BigEndianAppender& text(std::string_view v) { return bytes(as_byte_span(v)); }
  BigEndianAppender& zeros(std::size_t count) {
    out_.resize(out_.size() + count);
    return *this;
  }

 private:
  template <std::unsigned_integral T>
  BigEndianAppender& integer(T v) {
    out_.resize(out_.size() + sizeof(T));
    BigEndianWriter(out_.data() + out_.size() - sizeof(T)).put(v);
    return *this;
  }
  ByteVector& out_;
};

}  // namespace ashlar
