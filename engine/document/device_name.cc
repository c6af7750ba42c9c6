#include "document/device_name.h"

#include <fmt/format.h>

#include <algorithm>

namespace ashlar {
namespace {

constexpr std::size_t kMaxDeviceNameBytes = 32;

}  // namespace

Status check_device_name(std::string_view name) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/'; };
  if (name.starts_with("/dev/") && name.size() > 5 && name.size() <= kMaxDeviceNameBytes &&
      std::ranges::all_of(name, is_plain)) {
    return {};
  }
  return invalid(fmt::format("'{}' is not a device name such as /dev/sda", name));
}

}  // namespace ashlar
