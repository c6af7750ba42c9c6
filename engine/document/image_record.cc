#include "document/image_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "document/image_names.h"
#include "document/json_record.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr JsonFormat kFormat = {"ashlar image", "image record", kImageVersion, kMaxImageRecordBytes,
                                4};  // the record, its devices, one device, its content

Error damaged(std::string_view what) { return corrupt(fmt::format("image record: {}", what)); }

template <class Id>
std::string text_or_none(const Id& id) {
  return id == Id{} ? std::string() : id.text();
}

template <std::size_t kSize>
std::string hex_or_none(const std::array<std::byte, kSize>& bytes) {
  return is_zero(bytes) ? std::string() : to_hex(bytes);
}

Json to_json(const ImageContent& content) {
  return {{"snapshot", content.snapshot.text()},
          {"digest", content.digest.hex()},
          {"size_bytes", content.size.value}};
}
Json to_json(const std::optional<ImageContent>& content) {
  return content ? to_json(*content) : Json(nullptr);
}

Json to_json(const ImageDevice& device) {
  const bool is_snapshot = device.kind == ImageDevice::Kind::kSnapshot;
  return {{"device", device.name},
          {"kind", image_device_kind_name(device.kind)},
          {"content", is_snapshot ? to_json(device.content) : Json(nullptr)},
          {"size_bytes", device.size.value},
          {"volume_type", volume_type_name(device.volume_type)},
          {"iops", device.iops},
          {"throughput", device.throughput},
          {"delete_on_termination", device.delete_on_termination},
          {"encrypted", false},
          {"ephemeral", device.ephemeral}};
}

Json to_json(const ImageSignature& signature) {
  return {{"key", to_hex(signature.key)},
          {"name", signature.name},
          {"signed_unix_ns", signature.signed_at.unix_ns},
          {"signature", to_hex(signature.signature)}};
}

template <class Items>
Json list_of(const Items& items) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(to_json(item));
  return list;
}

template <std::size_t kSize>
void read_bytes(JsonMembers& members, const char* key, std::array<std::byte, kSize>& out, bool& fine) {
  std::string written;
  members.text(key, written);
  fine = fine && from_hex(written, out).ok();
}

template <std::size_t kSize>
void read_optional_bytes(JsonMembers& members, const char* key, std::array<std::byte, kSize>& out,
                         bool& fine) {
  std::string written;
  members.text(key, written);
  if (!written.empty()) fine = fine && from_hex(written, out).ok() && !is_zero(out);
}

bool read(const Json& body, ImageContent& out) {
  if (!body.is_object()) return false;
  JsonMembers members(body);
  bool fine = true;
  members.id("snapshot", out.snapshot);
  read_bytes(members, "digest", out.digest.bytes, fine);
  members.number("size_bytes", out.size.value);
  return fine && members.all_read();
}

bool read(const Json* body, std::optional<ImageContent>& out) {
  if (!body) return false;
  if (body->is_null()) return true;
  return read(*body, out.emplace());
}

bool read(const Json& body, ImageDevice& out) {
  if (!body.is_object()) return false;
  JsonMembers members(body);
  bool encrypted = false;
  std::optional<ImageContent> content;
  members.text("device", out.name);
  members.name("kind", kDeviceKindNames, out.kind);
  const bool has_content = read(members.any("content"), content);
  members.number("size_bytes", out.size.value);
  members.name("volume_type", kVolumeTypeNames, out.volume_type);
  members.number("iops", out.iops);
  members.number("throughput", out.throughput);
  members.flag("delete_on_termination", out.delete_on_termination);
  members.flag("encrypted", encrypted);
  members.number("ephemeral", out.ephemeral);
  if (content) out.content = *content;
  return has_content && !encrypted && content.has_value() == (out.kind == ImageDevice::Kind::kSnapshot) &&
         members.all_read();
}

bool read(const Json& body, ImageSignature& out) {
  if (!body.is_object()) return false;
  JsonMembers members(body);
  bool fine = true;
  read_bytes(members, "key", out.key, fine);
  members.text("name", out.name);
  members.number("signed_unix_ns", out.signed_at.unix_ns);
  read_bytes(members, "signature", out.signature, fine);
  return fine && members.all_read();
}

template <class Item>
bool read(const Json* list, std::vector<Item>& out) {
  if (!list) return false;
  for (const Json& one : *list) {
    if (!read(one, out.emplace_back())) return false;
  }
  return true;
}

bool read(const Json* list, std::set<AccountId>& out) {
  if (!list) return false;
  for (const Json& one : *list) {
    const auto account = one.is_string() ? AccountId::parse(one.get<std::string>()) : Result(AccountId{});
    if (!account.ok() || account.value().value == 0) return false;
    if (!out.empty() && *out.rbegin() >= account.value()) return false;
    out.insert(account.value());
  }
  return true;
}

bool read(const Json* object, Tags& out) {
  if (!object) return false;
  for (const auto& [key, value] : object->items()) {
    if (!value.is_string()) return false;
    out.emplace(key, value.get<std::string>());
  }
  return true;
}

bool read(const Json* moment, std::optional<UtcTime>& out) {
  if (!moment) return false;
  if (moment->is_null()) return true;
  if (!moment->is_number_unsigned()) return false;
  out = UtcTime{moment->get<std::uint64_t>()};
  return true;
}

bool read_attributes(JsonMembers& members, ImageRecord& record) {
  members.name("architecture", kArchitectureNames, record.architecture);
  members.text("root_device", record.root_device);
  members.name("root_device_type", kRootDeviceTypeNames, record.root_device_type);
  members.name("virtualization", kVirtualizationNames, record.virtualization);
  members.name("boot_mode", kBootModeNames, record.boot_mode);
  members.flag("ena_support", record.ena_support);
  members.text("sriov_net_support", record.sriov_net_support);
  members.text("tpm_support", record.tpm_support);
  members.text("imds_support", record.imds_support);
  members.text("platform", record.platform);
  members.text("kernel_command_line", record.boot.command_line);
  members.name("consistency", kConsistencyNames, record.consistency);
  const bool kernel = read(members.any("kernel"), record.boot.kernel);
  const bool ramdisk = read(members.any("ramdisk"), record.boot.ramdisk);
  return read(members.array("devices"), record.devices) && kernel && ramdisk;
}

bool read_life(JsonMembers& members, ImageRecord& record) {
  bool fine = true;
  members.name("state", kImageStateNames, record.state);
  members.name("former_state", kImageStateNames, record.former_state);
  members.text("state_reason", record.state_reason);
  read_optional_bytes(members, "session", record.session.bytes, fine);
  members.flag("public", record.is_public);
  const bool deprecated = read(members.any("deprecated_unix_ns"), record.deprecated);
  const bool deregistered = read(members.any("deregistered_unix_ns"), record.deregistered);
  const bool shared = read(members.array("shared_with"), record.shared_with);
  const bool signatures = read(members.array("signatures"), record.signatures);
  return read(members.object("tags"), record.tags) && fine && deprecated && deregistered && shared &&
         signatures;
}

// An image of this version is not encrypted: it has no key, and neither have its devices.
bool read_encryption(JsonMembers& members) {
  bool encrypted = false;
  std::string key;
  members.flag("encrypted", encrypted);
  members.text("key", key);
  return !encrypted && key.empty();
}

bool says_encrypted(const Json& object) {
  return object.is_object() && object.value("encrypted", Json()) == true;
}

// Looks at the image and its devices, of a record whose checksum is right.
bool is_encrypted(const Json& body) {
  const Json devices = body.value("devices", Json::array());
  return says_encrypted(body) ||
         (devices.is_array() && std::any_of(devices.begin(), devices.end(), says_encrypted));
}

bool read_origin(JsonMembers& members, ImageRecord& record) {
  bool fine = true;
  members.id("id", record.id);
  members.number("revision", record.revision);
  read_bytes(members, "store", record.store.bytes, fine);
  members.text("name", record.name);
  members.text("description", record.description);
  members.id("owner", record.owner);
  members.number("created_unix_ns", record.created.unix_ns);
  members.optional_id("source_image", record.source_image);
  read_optional_bytes(members, "source_store", record.source_store.bytes, fine);
  members.optional_id("source_instance", record.source_instance);
  return fine;
}

Json moment(const std::optional<UtcTime>& at) { return at ? Json(at->unix_ns) : Json(nullptr); }

void write_origin(const ImageRecord& record, Json& body) {
  body["id"] = record.id.text();
  body["revision"] = record.revision;
  body["store"] = record.store.hex();
  body["name"] = record.name;
  body["description"] = record.description;
  body["owner"] = record.owner.text();
  body["created_unix_ns"] = record.created.unix_ns;
  body["source_image"] = text_or_none(record.source_image);
  body["source_store"] = hex_or_none(record.source_store.bytes);
  body["source_instance"] = text_or_none(record.source_instance);
}

void write_attributes(const ImageRecord& record, Json& body) {
  body["architecture"] = architecture_name(record.architecture);
  body["root_device"] = record.root_device;
  body["root_device_type"] = root_device_type_name(record.root_device_type);
  body["virtualization"] = virtualization_type_name(record.virtualization);
  body["boot_mode"] = boot_mode_name(record.boot_mode);
  body["ena_support"] = record.ena_support;
  body["sriov_net_support"] = record.sriov_net_support;
  body["tpm_support"] = record.tpm_support;
  body["imds_support"] = record.imds_support;
  body["platform"] = record.platform;
  body["kernel"] = to_json(record.boot.kernel);
  body["ramdisk"] = to_json(record.boot.ramdisk);
  body["kernel_command_line"] = record.boot.command_line;
  body["consistency"] = image_consistency_name(record.consistency);
  body["devices"] = list_of(record.devices);
}

void write_life(const ImageRecord& record, Json& body) {
  body["state"] = image_state_name(record.state);
  body["former_state"] = image_state_name(record.former_state);
  body["state_reason"] = record.state_reason;
  body["session"] = hex_or_none(record.session.bytes);
  body["deprecated_unix_ns"] = moment(record.deprecated);
  body["deregistered_unix_ns"] = moment(record.deregistered);
  body["public"] = record.is_public;
  Json accounts = Json::array();
  for (const AccountId account : record.shared_with) accounts.push_back(account.text());
  body["shared_with"] = accounts;
  body["signatures"] = list_of(record.signatures);
  body["tags"] = Json(record.tags);
}

}  // namespace

std::vector<SnapshotId> snapshots_of(const ImageRecord& record) {
  std::set<SnapshotId> ids;
  for (const ImageDevice& device : record.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot) ids.insert(device.content.snapshot);
  }
  if (record.boot.kernel) ids.insert(record.boot.kernel->snapshot);
  if (record.boot.ramdisk) ids.insert(record.boot.ramdisk->snapshot);
  return {ids.begin(), ids.end()};
}

std::string encode(const ImageRecord& record) {
  Json body = Json::object();
  write_origin(record, body);
  write_attributes(record, body);
  write_life(record, body);
  body["encrypted"] = false;
  body["key"] = "";
  return write_json_record(kFormat, std::move(body));
}

Result<ImageRecord> decode_image_record(std::string_view text) {
  std::uint32_t version = 0;
  const Json body = TRY(read_json_record(kFormat, text, version));
  if (is_encrypted(body)) return unsupported("image record: encrypted, and this program can't decrypt");
  ImageRecord record;
  JsonMembers members(body);
  const bool plain = read_encryption(members);
  const bool origin = read_origin(members, record);
  const bool attributes = read_attributes(members, record);
  const bool life = read_life(members, record);
  if (!plain || !origin || !attributes || !life || !members.all_read())
    return damaged("a member is missing, of a wrong type, or unknown");
  Status limits = check_limits(record);
  if (!limits.ok()) return damaged(limits.error().text());
  return record;
}

}  // namespace ashlar
