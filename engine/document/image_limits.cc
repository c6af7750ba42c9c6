// The limits of an image's record.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "document/image_record.h"
#include "document/json_record.h"

namespace ashlar {
namespace {

constexpr std::size_t kMinNameBytes = 3;
constexpr std::size_t kMaxNameBytes = 128;
constexpr std::string_view kNameMarks = "()[] ./-'@_";
constexpr std::uint32_t kMaxEphemeral = 23;  // EC2's ephemeral0 to ephemeral23
constexpr std::string_view kReservedTags = "aws:";

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Status check_content(std::string_view whose, const ImageContent& content) {
  if (content.snapshot.value == 0) return invalid(fmt::format("{} has no snapshot", whose));
  if (content.size.value > kMaxVolumeBytes) return invalid(fmt::format("{}: impossible size", whose));
  return {};
}

Status check_size(const ImageDevice& device) {
  if (device.size.value == 0 || device.size.value > kMaxVolumeBytes)
    return invalid(fmt::format("{} has 1 byte to 64 PiB, not {} bytes", device.name, device.size.value));
  if (device.size < device.content.size) {
    return invalid(fmt::format("{}: {} bytes are less than its snapshot's {}", device.name, device.size.value,
                               device.content.size.value));
  }
  return {};
}

// Checks one device. What its kind does not use must have its default, so that equal mappings have equal
// encodings.
Status check_device(const ImageDevice& device) {
  TRY(check_device_name(device.name));
  ImageDevice plain;
  plain.name = device.name;
  plain.kind = device.kind;
  if (device.kind == ImageDevice::Kind::kSnapshot) {
    if (device.ephemeral != 0) return invalid(device.name + " is a snapshot and ephemeral");
    TRY(check_content(device.name, device.content));
    return check_size(device);
  }
  if (device.kind == ImageDevice::Kind::kEphemeral) {
    if (device.ephemeral > kMaxEphemeral)
      return invalid(
          fmt::format("{}: the ephemeral devices are ephemeral0 to ephemeral{}", device.name, kMaxEphemeral));
    plain.ephemeral = device.ephemeral;
    plain.size = device.size;
    TRY(check_size(device));
  }
  if (device == plain) return {};
  return invalid(fmt::format(
      "{}: only a snapshot has a volume type, iops, throughput and deletion on termination", device.name));
}

Status check_devices(const ImageRecord& record) {
  if (record.devices.empty() || record.devices.size() > kMaxImageDevices)
    return invalid(fmt::format("an image has 1 to {} mapped devices", kMaxImageDevices));
  std::set<std::uint32_t> ephemerals;
  const ImageDevice* before = nullptr;
  for (const ImageDevice& device : record.devices) {
    TRY(check_device(device));
    if (before && before->name >= device.name)
      return invalid(fmt::format("{} is given twice or out of order", device.name));
    const bool is_ephemeral = device.kind == ImageDevice::Kind::kEphemeral;
    if (is_ephemeral && !ephemerals.insert(device.ephemeral).second)
      return invalid(fmt::format("ephemeral{} is given twice", device.ephemeral));
    before = &device;
  }
  const auto is_root = [&](const ImageDevice& device) { return device.name == record.root_device; };
  const auto root = std::ranges::find_if(record.devices, is_root);
  if (root == record.devices.end() || root->kind != ImageDevice::Kind::kSnapshot)
    return invalid(fmt::format("the root device '{}' is not mapped to a snapshot", record.root_device));
  return {};
}

Status check_boot(const ImageBoot& boot) {
  if (!boot.kernel && (boot.ramdisk || !boot.command_line.empty()))
    return invalid("a RAM disk or a kernel command line needs a kernel");
  if (boot.kernel) TRY(check_content("the kernel", *boot.kernel));
  if (boot.ramdisk) TRY(check_content("the RAM disk", *boot.ramdisk));
  return check_json_text("the kernel's command line", boot.command_line, kMaxBootCommandBytes);
}

Status check_word(std::string_view what, const std::string& word, std::string_view only) {
  if (word.empty() || word == only) return {};
  return invalid(fmt::format("{} is '{}' or left out, not '{}'", what, only, word));
}

Status check_attributes(const ImageRecord& record) {
  TRY(check_word("SriovNetSupport", record.sriov_net_support, "simple"));
  TRY(check_word("TpmSupport", record.tpm_support, "v2.0"));
  TRY(check_word("ImdsSupport", record.imds_support, "v2.0"));
  TRY(check_word("Platform", record.platform, "windows"));
  return check_boot(record.boot);
}

Status check_image_tags(const Tags& tags) {
  TRY(check_tags(tags));
  for (const auto& [key, value] : tags) {
    TRY(check_json_text("a tag's key", key, kMaxTagKeyBytes));
    TRY(check_json_text("a tag's value", value, kMaxTagValueBytes));
    if (key.starts_with(kReservedTags))
      return invalid(fmt::format("tags that begin with '{}' are reserved", kReservedTags));
  }
  return {};
}

Status check_state(const ImageRecord& record) {
  TRY(check_json_text("the reason of the state", record.state_reason, kMaxTextBytes));
  if ((record.state == ImageState::kPending) == record.session.is_zero())
    return invalid("a pending image has a session, and no other image has one");
  if ((record.state == ImageState::kDeregistered) != record.deregistered.has_value())
    return invalid("a deregistered image has a time of deregistration, and no other image has one");
  const ImageState former = record.former_state;
  const bool could_be_deregistered =
      former == ImageState::kAvailable || former == ImageState::kDisabled || former == ImageState::kFailed;
  if (!could_be_deregistered ||
      (record.state != ImageState::kDeregistered && former != ImageState::kAvailable))
    return invalid("only a deregistered image has a former state");
  return {};
}

}  // namespace

Status check_image_name(std::string_view name) {
  const bool plain = std::ranges::all_of(
      name, [](char c) { return is_letter_or_digit(c) || kNameMarks.find(c) != std::string_view::npos; });
  if (plain && name.size() >= kMinNameBytes && name.size() <= kMaxNameBytes) return {};
  return invalid(fmt::format("'{}' is not an image name: {} to {} letters, digits, blanks and ()[]./-'@_",
                             name, kMinNameBytes, kMaxNameBytes));
}

Status check_limits(const ImageRecord& record) {
  if (record.id.value == 0 || record.owner.value == 0 || record.revision == 0)
    return invalid("an image has an id, an owner and a revision");
  TRY(check_image_name(record.name));
  TRY(check_json_text("the description", record.description, kMaxImageDescriptionBytes));
  TRY(check_devices(record));
  TRY(check_attributes(record));
  TRY(check_state(record));
  if (record.shared_with.size() > kMaxLaunchPermissions)
    return invalid(fmt::format("an image is shared with at most {} accounts", kMaxLaunchPermissions));
  if (record.signatures.size() > kMaxImageSignatures)
    return invalid(fmt::format("an image has at most {} signatures", kMaxImageSignatures));
  for (const ImageSignature& signature : record.signatures) TRY(check_image_name(signature.name));
  return check_image_tags(record.tags);
}

}  // namespace ashlar
