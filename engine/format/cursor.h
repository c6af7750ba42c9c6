// Cursors: little-endian integers read from bytes and written to bytes, with every length checked. Persistent
// bytes are read in this way only.
//
// A ByteReader never reads past its end. The first read that is too short makes it fail, and from then on it
// returns zeros. So a decoder reads all its fields in a row and asks ok() before it believes them or
// allocates memory by them.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ashlar {

class ByteReader {
 public:
  explicit ByteReader(ByteSpan bytes) : rest_(bytes) {}

  std::uint8_t u8() { return integer<std::uint8_t>(); }
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
  void copy(MutableByteSpan out) {
    const ByteSpan taken = bytes(out.size());
    if (taken.size() == out.size() && !out.empty()) std::memcpy(out.data(), taken.data(), out.size());
  }
  // Reads a u16 length and that many bytes.
  std::string string() { return std::string(as_text(bytes(u16()))); }
  bool expect(std::string_view magic) { return as_text(bytes(magic.size())) == magic && ok_; }
  // Returns true when the next `size` bytes are all zero, as reserved fields must be.
  bool reserved(std::size_t size) { return is_zero(bytes(size)) && ok_; }

  bool ok() const { return ok_; }
  std::size_t left() const { return rest_.size(); }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  template <std::unsigned_integral T>
  T integer() {
    const ByteSpan raw = bytes(sizeof(T));
    if (raw.size() != sizeof(T)) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;) value = value << 8U | std::to_integer<std::uint64_t>(raw[i]);
    return static_cast<T>(value);
  }

  ByteSpan rest_;
  bool ok_ = true;
};

class ByteWriter {
 public:
  void u8(std::uint8_t v) { integer(v); }
  void u16(std::uint16_t v) { integer(v); }
  void u32(std::uint32_t v) { integer(v); }
  void u64(std::uint64_t v) { integer(v); }
  void bytes(ByteSpan v) { bytes_.insert(bytes_.end(), v.begin(), v.end()); }
  void text(std::string_view v) { bytes(as_byte_span(v)); }
  // Writes a u16 length and the bytes. The caller has checked that the length fits.
  void string(std::string_view v) {
    u16(static_cast<std::uint16_t>(v.size()));
    text(v);
  }
  void zeros(std::size_t count) { bytes_.resize(bytes_.size() + count); }

  std::size_t size() const { return bytes_.size(); }
  ByteSpan span() const { return bytes_; }
  ByteVector take() { return std::move(bytes_); }

 private:
  template <std::unsigned_integral T>
  void integer(T v) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<std::byte>(static_cast<std::uint64_t>(v) >> (8 * i) & 0xffU));
    }
  }
  ByteVector bytes_;
};

}  // namespace ashlar
