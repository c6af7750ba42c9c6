#include "io/object_key.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {

namespace {

bool is_key_character(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
         c == '-';
}

}  // namespace

bool is_key_part(std::string_view part) {
  return !part.empty() && part.size() <= 255 && part != "." && part != ".." &&
         std::ranges::all_of(part, is_key_character);
}

Status check_object_key(std::string_view key) {
  if (key.size() > kMaxKeyBytes)
    return invalid(fmt::format("object key of {} bytes is too long", key.size()));
  for (std::string_view rest = key;;) {
    const std::size_t slash = rest.find('/');
    if (!is_key_part(rest.substr(0, slash))) return invalid(fmt::format("\"{}\" is not an object key", key));
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

}  // namespace ashlar
