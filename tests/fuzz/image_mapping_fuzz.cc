// Fuzz target: lines of a block device mapping, for a new image, and over the devices of an existing one.
#include "fuzz/target.h"
#include "image/mapping.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ashlar;
  std::vector<DeviceMapping> mappings;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (!rest.empty() && mappings.size() < 100) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    auto mapping = parse_mapping(rest.substr(0, end));
    if (mapping.ok()) mappings.push_back(mapping.take());
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto devices = devices_of(mappings);
  if (!devices.ok()) return 0;
  for (const ImageDevice& device : devices.value()) CHECK(check_device_name(device.name).ok());
  // When the same mappings are applied to their own result, they add no device.
  const auto again = overridden(devices.value(), mappings);
  CHECK(again.ok() && again.value().size() <= devices.value().size());
  return 0;
}
