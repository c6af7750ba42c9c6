#include "base/id.h"

#include <fmt/format.h>

namespace ashlar {
namespace {

constexpr std::string_view kSnapshotPrefix = "snap-0";

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    text.push_back(digits[std::to_integer<unsigned>(b) >> 4U]);
    text.push_back(digits[std::to_integer<unsigned>(b) & 15U]);
  }
  return text;
}

Status from_hex(std::string_view text, MutableByteSpan out) {
  if (text.size() != out.size() * 2) {
    return invalid(fmt::format("'{}' is not an id: {} hexadecimal digits expected", text, out.size() * 2));
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return invalid(fmt::format("'{}' is not an id: not lower-case hexadecimal", text));
    out[i] = static_cast<std::byte>(high * 16 + low);
  }
  return {};
}

std::string SnapshotId::text() const { return fmt::format("{}{:016x}", kSnapshotPrefix, value); }

Result<SnapshotId> SnapshotId::parse(std::string_view text) {
  const auto malformed = [&] {
    return invalid(
        fmt::format("'{}' is not a snapshot id: 'snap-0' and 16 hexadecimal digits expected", text));
  };
  if (!text.starts_with(kSnapshotPrefix) || text.size() != kSnapshotPrefix.size() + 16) return malformed();
  SnapshotId id;
  for (const char c : text.substr(kSnapshotPrefix.size())) {
    const int d = digit(c);
    if (d < 0) return malformed();
    id.value = id.value << 4U | static_cast<std::uint64_t>(d);
  }
  return id;
}

}  // namespace ashlar
