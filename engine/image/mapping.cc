#include "image/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/units.h"

namespace ashlar {
namespace {

constexpr std::string_view kEphemeralPrefix = "ephemeral";
constexpr std::string_view kNoDevice = "no-device";

Result<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size()) return value;
  return invalid(fmt::format("'{}' is not a number", text));
}

Result<bool> parse_flag(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return invalid(fmt::format("'{}' is neither true nor false", text));
}

// Reads the text after the equals sign.
Status read_target(std::string_view word, DeviceMapping& out) {
  if (word.empty()) return {};
  if (word == kNoDevice) {
    out.kind = ImageDevice::Kind::kNone;
  } else if (word.starts_with(kEphemeralPrefix)) {
    out.kind = ImageDevice::Kind::kEphemeral;
    out.ephemeral = TRY(parse_number(word.substr(kEphemeralPrefix.size())));
  } else {
    out.kind = ImageDevice::Kind::kSnapshot;
    out.snapshot = TRY(SnapshotId::parse(word));
    if (out.snapshot.value == 0) return invalid(fmt::format("no snapshot has the id {}", word));
  }
  return {};
}

template <class Value>
Status put_once(std::string_view key, std::optional<Value>& out, Value value) {
  if (out) return invalid(fmt::format("{} is given twice", key));
  out = value;
  return {};
}

Status read_word(std::string_view word, DeviceMapping& out) {
  const std::size_t equals = word.find('=');
  const std::string_view key = word.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : word.substr(equals + 1);
  if (word == "delete-on-termination") return put_once(key, out.delete_on_termination, true);
  if (equals == std::string_view::npos) return invalid(fmt::format("'{}' is not a part of a mapping", word));
  if (key == "size") {
    const ByteCount size{TRY(parse_size(value))};
    if (size.value == 0 || size.value > kMaxVolumeBytes) return invalid("a device has 1 byte to 64 PiB");
    return put_once(key, out.size, size);
  }
  if (key == "type") return put_once(key, out.volume_type, TRY(parse_volume_type(value)));
  if (key == "iops") return put_once(key, out.iops, TRY(parse_number(value)));
  if (key == "throughput") return put_once(key, out.throughput, TRY(parse_number(value)));
  if (key == "delete-on-termination") return put_once(key, out.delete_on_termination, TRY(parse_flag(value)));
  return invalid(fmt::format(
      "'{}' is not a part of a mapping: size, type, iops, throughput, delete-on-termination", key));
}

Status read_words(std::string_view text, DeviceMapping& out) {
  std::size_t comma = text.find(',');
  TRY(read_target(text.substr(0, comma), out));
  while (comma != std::string_view::npos) {
    text.remove_prefix(comma + 1);
    comma = text.find(',');
    TRY(read_word(text.substr(0, comma), out));
  }
  const bool has_volume = !out.kind || *out.kind == ImageDevice::Kind::kSnapshot;
  if (!has_volume && (out.volume_type || out.iops || out.throughput || out.delete_on_termination))
    return invalid("type, iops, throughput and delete-on-termination are for snapshots only");
  if (out.kind == ImageDevice::Kind::kNone && out.size) return invalid("no-device takes no size");
  return {};
}

// Applies a line to a device. A line that states the kind of device replaces all other properties.
ImageDevice changed(const ImageDevice& before, const DeviceMapping& mapping) {
  ImageDevice device = before;
  if (mapping.kind) {
    device = {};
    device.kind = *mapping.kind;
    device.content.snapshot = mapping.snapshot;
    device.ephemeral = mapping.ephemeral;
    if (device.kind == ImageDevice::Kind::kEphemeral) device.size = kDefaultEphemeralSize;
  }
  device.name = mapping.name;
  device.size = mapping.size.value_or(device.size);
  device.volume_type = mapping.volume_type.value_or(device.volume_type);
  device.iops = mapping.iops.value_or(device.iops);
  device.throughput = mapping.throughput.value_or(device.throughput);
  device.delete_on_termination = mapping.delete_on_termination.value_or(device.delete_on_termination);
  return device;
}

Status check_twice(const std::vector<DeviceMapping>& mappings) {
  for (auto one = mappings.begin(); one != mappings.end(); ++one) {
    const auto is_it = [&](const DeviceMapping& other) { return other.name == one->name; };
    if (std::find_if(one + 1, mappings.end(), is_it) != mappings.end())
      return invalid(fmt::format("{} is mapped twice", one->name));
  }
  return {};
}

}  // namespace

Result<DeviceMapping> parse_mapping(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos)
    return invalid(
        fmt::format("'{}' is not a mapping such as /dev/sda=snap-01a2b3c4d5e6f7089,size=20G", text));
  DeviceMapping mapping;
  mapping.name = text.substr(0, equals);
  TRY(check_device_name(mapping.name));
  TRY(read_words(text.substr(equals + 1), mapping).with_context(mapping.name));
  return mapping;
}

Result<std::vector<ImageDevice>> devices_of(const std::vector<DeviceMapping>& mappings) {
  TRY(check_twice(mappings));
  std::vector<ImageDevice> devices;
  for (const DeviceMapping& mapping : mappings) {
    if (!mapping.kind)
      return invalid(fmt::format("{}: a snapshot, ephemeralN or no-device is missing", mapping.name));
    devices.push_back(changed({}, mapping));
  }
  std::ranges::sort(devices, {}, &ImageDevice::name);
  return devices;
}

Result<std::vector<ImageDevice>> overridden(std::vector<ImageDevice> devices,
                                            const std::vector<DeviceMapping>& mappings) {
  TRY(check_twice(mappings));
  for (const DeviceMapping& mapping : mappings) {
    const auto own = std::ranges::find(devices, mapping.name, &ImageDevice::name);
    if (own != devices.end()) {
      *own = changed(*own, mapping);
    } else if (mapping.kind) {
      devices.push_back(changed({}, mapping));
    } else {
      return invalid(fmt::format(
          "{} is not a device of the image: name a snapshot, ephemeralN or a size for it", mapping.name));
    }
  }
  std::erase_if(devices, [](const ImageDevice& device) { return device.kind == ImageDevice::Kind::kNone; });
  std::ranges::sort(devices, {}, &ImageDevice::name);
  return devices;
}

}  // namespace ashlar
