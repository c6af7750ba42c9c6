#include "base/units.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cmath>

#include "base/checked.h"

namespace ashlar {
namespace {

constexpr std::string_view kUnits = "BKMGTPE";

Error malformed(std::string_view text) {
  return invalid(fmt::format("'{}' is not a size: sizes look like 4096, 10G or 64TiB", text));
}

Error too_large(std::string_view text) {
  return invalid(fmt::format("'{}' is too large: sizes are less than 16 EiB", text));
}

// Returns the power of 1024 that a unit such as "", "B", "k", "GiB" or "tb" means; -1 for anything else.
int unit_power(std::string_view unit) {
  if (unit.empty()) return 0;
  const auto power = kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
  if (power == std::string_view::npos) return -1;
  std::string_view rest = unit.substr(1);
  if (power == 0) return rest.empty() ? 0 : -1;
  if (!rest.empty() && (rest[0] == 'i' || rest[0] == 'I')) {
    rest.remove_prefix(1);
    if (rest.empty()) return -1;
  }
  if (rest.empty() || rest == "B" || rest == "b") return static_cast<int>(power);
  return -1;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::size_t at = 0;
  std::uint64_t whole = 0;
  while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) {
    const auto shifted = checked_mul<std::uint64_t>(whole, 10);
    const auto sum =
        shifted ? checked_add<std::uint64_t>(*shifted, static_cast<std::uint64_t>(text[at] - '0')) : shifted;
    if (!sum) return too_large(text);
    whole = *sum;
    ++at;
  }
  if (at == 0) return malformed(text);
  std::uint64_t fraction = 0;
  std::uint64_t scale = 1;
  if (at < text.size() && text[at] == '.') {
    const std::size_t point = at++;
    while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) {
      if (scale > 1'000'000) return malformed(text);
      fraction = fraction * 10 + static_cast<std::uint64_t>(text[at++] - '0');
      scale *= 10;
    }
    if (at == point + 1) return malformed(text);
  }
  while (at < text.size() && text[at] == ' ') ++at;
  const int power = unit_power(text.substr(at));
  if (power < 0) return malformed(text);
  const std::uint64_t unit = std::uint64_t{1} << (10U * static_cast<unsigned>(power));
  const auto bytes = checked_mul(whole, unit);
  const auto part = checked_mul(fraction, unit);
  if (!bytes || !part) return too_large(text);
  if (*part % scale != 0) return malformed(text);
  const auto sum = checked_add(*bytes, *part / scale);
  if (!sum) return too_large(text);
  return *sum;
}

std::string format_size(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 7> names = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < names.size()) {
    value /= 1024;
    ++unit;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, names[unit]);
}

}  // namespace ashlar
