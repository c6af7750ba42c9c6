#include "shapes/image_output.h"

#include <fmt/format.h>

#include "base/units.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30U;

Json ebs_json(const ImageDevice& device) {
  Json ebs = {{"DeleteOnTermination", device.delete_on_termination},
              {"SnapshotId", device.content.snapshot.text()},
              {"VolumeSize", (device.size.value + kGibibyte - 1) / kGibibyte},
              {"VolumeSizeBytes", device.size.value},
              {"VolumeType", volume_type_name(device.volume_type)},
              {"Encrypted", false}};
  if (device.iops != 0) ebs["Iops"] = device.iops;
  if (device.throughput != 0) ebs["Throughput"] = device.throughput;
  return ebs;
}

Json mapping_json(const ImageDevice& device) {
  Json mapping = {{"DeviceName", device.name}};
  switch (device.kind) {
    case ImageDevice::Kind::kSnapshot:
      mapping["Ebs"] = ebs_json(device);
      break;
    case ImageDevice::Kind::kEphemeral:
      mapping["VirtualName"] = fmt::format("ephemeral{}", device.ephemeral);
      mapping["VolumeSizeBytes"] = device.size.value;
      break;
    case ImageDevice::Kind::kNone:
      mapping["NoDevice"] = "";
      break;
  }
  return mapping;
}

void add_text(Json& out, const char* member, std::string_view text) {
  if (!text.empty()) out[member] = text;
}

template <class Id>
void add_id(Json& out, const char* member, const Id& id) {
  if (id != Id{}) out[member] = id.text();
}

void add_boot(Json& out, const ImageBoot& boot) {
  if (boot.kernel) out["KernelId"] = boot.kernel->snapshot.text();
  if (boot.ramdisk) out["RamdiskId"] = boot.ramdisk->snapshot.text();
  add_text(out, "KernelCommandLine", boot.command_line);
}

Json signatures_json(const ImageRecord& record) {
  Json all = Json::array();
  for (const ImageSignature& signature : record.signatures) {
    all.push_back({{"Key", to_hex(signature.key)},
                   {"Name", signature.name},
                   {"SignedAt", signature.signed_at.iso8601()}});
  }
  return all;
}

Json tags_json(const Tags& tags) {
  Json all = Json::array();
  for (const auto& [key, value] : tags) all.push_back({{"Key", key}, {"Value", value}});
  return all;
}

Json permissions_json(const ImageRecord& record) {
  Json all = Json::array();
  if (record.is_public) all.push_back({{"Group", "all"}});
  for (const AccountId account : record.shared_with) all.push_back({{"UserId", account.text()}});
  return all;
}

std::string device_text(const ImageDevice& device) {
  switch (device.kind) {
    case ImageDevice::Kind::kSnapshot:
      return fmt::format("{}, {}, {}, {} on termination", device.content.snapshot.text(),
                         format_size(device.size.value), volume_type_name(device.volume_type),
                         device.delete_on_termination ? "deleted" : "kept");
    case ImageDevice::Kind::kEphemeral:
      return fmt::format("ephemeral{}, {}", device.ephemeral, format_size(device.size.value));
    case ImageDevice::Kind::kNone:
      return "no device";
  }
  return {};
}

std::string permissions_text(const ImageRecord& record) {
  std::string text = record.is_public ? "all accounts" : "";
  for (const AccountId account : record.shared_with) text += (text.empty() ? "" : ", ") + account.text();
  return text.empty() ? "not shared" : "shared with " + text;
}

}  // namespace

Json image_json(const ImageRecord& record, AccountId account) {
  Json mappings = Json::array();
  for (const ImageDevice& device : record.devices) mappings.push_back(mapping_json(device));
  Json out = {{"ImageId", record.id.text()},
              {"Name", record.name},
              {"Description", record.description},
              {"OwnerId", record.owner.text()},
              {"CreationDate", record.created.iso8601()},
              {"State", image_state_name(record.state)},
              {"Public", record.is_public},
              {"ImageType", "machine"},
              {"Architecture", architecture_name(record.architecture)},
              {"RootDeviceName", record.root_device},
              {"RootDeviceType", root_device_type_name(record.root_device_type)},
              {"BlockDeviceMappings", mappings},
              {"VirtualizationType", virtualization_type_name(record.virtualization)},
              {"BootMode", boot_mode_name(record.boot_mode)},
              {"EnaSupport", record.ena_support}};
  add_text(out, "SriovNetSupport", record.sriov_net_support);
  add_text(out, "TpmSupport", record.tpm_support);
  add_text(out, "ImdsSupport", record.imds_support);
  add_text(out, "Platform", record.platform);
  add_boot(out, record.boot);
  if (!record.state_reason.empty()) out["StateReason"] = {{"Message", record.state_reason}};
  if (record.deprecated) out["DeprecationTime"] = record.deprecated->iso8601();
  add_id(out, "SourceImageId", record.source_image);
  if (!record.source_store.is_zero()) out["SourceStore"] = record.source_store.hex();
  add_id(out, "SourceInstanceId", record.source_instance);
  out["Consistency"] = image_consistency_name(record.consistency);
  out["ContentDigest"] = to_hex(image_digest(record));
  out["Signatures"] = signatures_json(record);
  if (record.owner == account) out["LaunchPermissions"] = permissions_json(record);
  out["Tags"] = tags_json(record.tags);
  return out;
}

Json images_json(const std::vector<ImageRecord>& images, AccountId account) {
  Json all = Json::array();
  for (const ImageRecord& record : images) all.push_back(image_json(record, account));
  return {{"Images", all}};
}

ByteCount snapshot_size(const ImageRecord& record) {
  ByteCount size{0};
  for (const ImageDevice& device : record.devices) size.value += device.content.size.value;
  return size;
}

std::string image_text(const ImageRecord& record, AccountId account) {
  std::vector<std::pair<std::string, std::string>> lines = {
      {"id", record.id.text()},
      {"name", record.name},
      {"description", record.description},
      {"owner", record.owner.text()},
      {"created", record.created.iso8601()},
      {"state", std::string(image_state_name(record.state))},
      {"architecture", std::string(architecture_name(record.architecture))},
      {"boot mode", std::string(boot_mode_name(record.boot_mode))},
      {"root device",
       fmt::format("{} ({})", record.root_device, root_device_type_name(record.root_device_type))}};
  if (!record.state_reason.empty()) lines.emplace_back("reason", record.state_reason);
  for (const ImageDevice& device : record.devices) lines.emplace_back(device.name, device_text(device));
  if (record.boot.kernel) lines.emplace_back("kernel", record.boot.kernel->snapshot.text());
  if (record.boot.ramdisk) lines.emplace_back("RAM disk", record.boot.ramdisk->snapshot.text());
  if (!record.boot.command_line.empty()) lines.emplace_back("command line", record.boot.command_line);
  if (record.deprecated) lines.emplace_back("deprecated", record.deprecated->iso8601());
  if (record.source_image.value != 0) lines.emplace_back("source image", record.source_image.text());
  if (!record.source_store.is_zero()) lines.emplace_back("source store", record.source_store.hex());
  if (record.source_instance.value != 0) lines.emplace_back("source instance", record.source_instance.text());
  lines.emplace_back("consistency", std::string(image_consistency_name(record.consistency)));
  lines.emplace_back("content digest", to_hex(image_digest(record)));
  for (const ImageSignature& signature : record.signatures)
    lines.emplace_back("signed by",
                       fmt::format("{} at {}", to_hex(signature.key), signature.signed_at.iso8601()));
  if (record.owner == account) lines.emplace_back("access", permissions_text(record));
  for (const auto& [key, value] : record.tags) lines.emplace_back("tag " + key, value);
  return aligned(lines);
}

}  // namespace ashlar
