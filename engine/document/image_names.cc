// The words of an image's record, in EC2's spelling: from value to word and from word to value.
#include "document/image_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace ashlar {
namespace {

template <class Enum, class Names>
Result<Enum> parse(std::string_view what, const Names& names, std::string_view text) {
  const auto found = std::ranges::find(names, text);
  if (found != names.end()) return static_cast<Enum>(found - names.begin());
  return invalid(fmt::format("'{}' is not a known {}: use one of {}", text, what, fmt::join(names, ", ")));
}

template <class Enum, class Names>
std::string_view name_of(const Names& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

}  // namespace

std::string_view image_state_name(ImageState state) { return name_of(kImageStateNames, state); }
std::string_view architecture_name(Architecture value) { return name_of(kArchitectureNames, value); }
std::string_view root_device_type_name(RootDeviceType type) { return name_of(kRootDeviceTypeNames, type); }
std::string_view virtualization_type_name(VirtualizationType type) {
  return name_of(kVirtualizationNames, type);
}
std::string_view boot_mode_name(BootMode mode) { return name_of(kBootModeNames, mode); }
std::string_view volume_type_name(VolumeType type) { return name_of(kVolumeTypeNames, type); }
std::string_view image_consistency_name(ImageConsistency value) { return name_of(kConsistencyNames, value); }
std::string_view image_device_kind_name(ImageDevice::Kind kind) { return name_of(kDeviceKindNames, kind); }

Result<Architecture> parse_architecture(std::string_view text) {
  return parse<Architecture>("architecture", kArchitectureNames, text);
}
Result<RootDeviceType> parse_root_device_type(std::string_view text) {
  return parse<RootDeviceType>("type of root device", kRootDeviceTypeNames, text);
}
Result<BootMode> parse_boot_mode(std::string_view text) {
  return parse<BootMode>("boot mode", kBootModeNames, text);
}
Result<VolumeType> parse_volume_type(std::string_view text) {
  return parse<VolumeType>("type of volume", kVolumeTypeNames, text);
}

}  // namespace ashlar
