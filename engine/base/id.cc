#include "base/id.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {
namespace {

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
    return invalid(
        fmt::format("'{}' is not an id: it has to have {} hexadecimal digits", text, out.size() * 2));
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return invalid(fmt::format("'{}' is not an id: it has to be lower-case hexadecimal", text));
    out[i] = static_cast<std::byte>(high * 16 + low);
  }
  return {};
}

std::string record_id_text(std::string_view prefix, std::uint64_t value) {
  return fmt::format("{}{:016x}", prefix, value);
}

Result<std::uint64_t> parse_record_id(std::string_view prefix, std::string_view noun, std::string_view text) {
  const auto malformed = [&] {
    const bool has_vowel =
        !noun.empty() && std::string_view("aeiou").find(noun.front()) != std::string_view::npos;
    return invalid(fmt::format("'{}' is not {} {} id: ids look like {}1a2b3c4d5e6f7089", text,
                               has_vowel ? "an" : "a", noun, prefix));
  };
  if (!text.starts_with(prefix) || text.size() != prefix.size() + 16) return malformed();
  std::uint64_t value = 0;
  for (const char c : text.substr(prefix.size())) {
    const int d = digit(c);
    if (d < 0) return malformed();
    value = value << 4U | static_cast<std::uint64_t>(d);
  }
  return value;
}

std::string AccountId::text() const { return fmt::format("{:012}", value); }

Result<AccountId> AccountId::parse(std::string_view text) {
  AccountId id;
  const bool digits = std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (text.size() == 12 && digits) {
    for (const char c : text) id.value = id.value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (id.value != 0) return id;
  return invalid(fmt::format("'{}' is not an account: accounts have 12 digits, not all of them 0", text));
}

// The result is between 100000000000 and 999999999999.
AccountId AccountId::of_store(const StoreId& store) {
  constexpr std::uint64_t kLowest = 100'000'000'000;
  return {kLowest + store.prefix() % (9 * kLowest)};
}

}  // namespace ashlar
