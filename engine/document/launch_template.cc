#include "document/launch_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "document/instance_record.h"
#include "document/json_record.h"
#include "document/named_id.h"
#include "format/tags.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr JsonFormat kFormat = {"ashlar launch template", "launch template", kLaunchTemplateVersion,
                                kMaxLaunchTemplateBytes,
                                5};  // record, versions, one version, choices, mappings
constexpr std::string_view kIdDomain = "ashlar launch template";
constexpr std::string_view kNameMarks = "()./-_";
constexpr std::size_t kMinNameBytes = 3;
constexpr std::size_t kMaxNameBytes = 128;

std::string_view device_of(std::string_view mapping) { return mapping.substr(0, mapping.find('=')); }

template <class Value>
void take_stated(Value& ours, const Value& theirs) {
  if (theirs != Value{}) ours = theirs;
}

Json to_json(const LaunchChoices& choices) {
  return {{"source", choices.source},   {"mappings", choices.mappings},
          {"name", choices.name},       {"memory_bytes", choices.memory.value},
          {"cpus", choices.cpus},       {"size_bytes", choices.size.value},
          {"kernel", choices.kernel},   {"initrd", choices.initrd},
          {"append", choices.append},   {"accelerator", choices.accelerator},
          {"network", choices.network}, {"keep_volumes", choices.keep_volumes}};
}

bool read(const Json* body, LaunchChoices& out) {
  if (!body) return false;
  JsonMembers members(*body);
  members.text("source", out.source);
  members.texts("mappings", out.mappings);
  members.text("name", out.name);
  members.number("memory_bytes", out.memory.value);
  members.number("cpus", out.cpus);
  members.number("size_bytes", out.size.value);
  members.text("kernel", out.kernel);
  members.text("initrd", out.initrd);
  members.text("append", out.append);
  members.text("accelerator", out.accelerator);
  members.text("network", out.network);
  members.flag("keep_volumes", out.keep_volumes);
  return members.all_read();
}

bool read(const Json* list, std::vector<TemplateVersion>& out) {
  if (!list) return false;
  for (const Json& one : *list) {
    if (!one.is_object()) return false;
    TemplateVersion& version = out.emplace_back();
    JsonMembers members(one);
    members.number("number", version.number);
    members.number("created_unix_ns", version.created.unix_ns);
    members.text("description", version.description);
    if (!read(members.object("choices"), version.choices) || !members.all_read()) return false;
  }
  return true;
}

Status check_mappings(const std::vector<std::string>& mappings) {
  if (mappings.size() > kMaxTemplateMappings)
    return invalid(fmt::format("at most {} devices are mapped", kMaxTemplateMappings));
  for (auto mapping = mappings.begin(); mapping != mappings.end(); ++mapping) {
    TRY(check_json_text("a mapping", *mapping, kMaxTextBytes));
    const std::string_view device = device_of(*mapping);
    const auto is_same = [&](const std::string& other) { return device_of(other) == device; };
    if (device.empty() || std::any_of(mappings.begin(), mapping, is_same))
      return invalid(fmt::format("'{}' has no device name, or its device is mapped twice", *mapping));
  }
  return {};
}

Status check_version(const TemplateVersion& version) {
  const auto context = [&] { return fmt::format("version {}", version.number); };
  TRY(check_json_text("the description", version.description, kMaxTemplateDescriptionBytes)
          .with_context(context()));
  return check_limits(version.choices).with_context(context());
}

Status check_numbers(const LaunchTemplate& record) {
  if (record.versions.empty() || record.versions.size() > kMaxTemplateVersions)
    return invalid(
        fmt::format("a launch template has 1 to {} versions: delete old ones", kMaxTemplateVersions));
  std::uint64_t last = 0;
  for (const TemplateVersion& version : record.versions) {
    if (version.number <= last) return invalid("the numbers of versions have to ascend");
    last = version.number;
  }
  if (last > record.numbers_given) return invalid("a version has a number that was never given");
  if (!find_version(record, record.default_version)) return invalid("the default version does not exist");
  return {};
}

}  // namespace

LaunchChoices merged(LaunchChoices base, const LaunchChoices& changes) {
  take_stated(base.source, changes.source);
  take_stated(base.name, changes.name);
  take_stated(base.memory, changes.memory);
  take_stated(base.cpus, changes.cpus);
  take_stated(base.size, changes.size);
  take_stated(base.kernel, changes.kernel);
  take_stated(base.initrd, changes.initrd);
  take_stated(base.append, changes.append);
  take_stated(base.accelerator, changes.accelerator);
  take_stated(base.network, changes.network);
  take_stated(base.keep_volumes, changes.keep_volumes);
  for (const std::string& mapping : changes.mappings) {
    const auto same = std::ranges::find(base.mappings, device_of(mapping), device_of);
    same == base.mappings.end() ? base.mappings.push_back(mapping) : void(*same = mapping);
  }
  return base;
}

LaunchTemplateId launch_template_id(AccountId owner, std::string_view name) {
  return named_id<LaunchTemplateId>(kIdDomain, owner, name);
}

const TemplateVersion* find_version(const LaunchTemplate& record, std::uint64_t number) {
  const auto found = std::ranges::find(record.versions, number, &TemplateVersion::number);
  return found == record.versions.end() ? nullptr : &*found;
}

Status check_template_name(std::string_view name) {
  const bool plain = std::ranges::all_of(name, [](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || kNameMarks.find(c) != std::string_view::npos;
  });
  if (plain && name.size() >= kMinNameBytes && name.size() <= kMaxNameBytes) return {};
  return invalid(fmt::format("'{}' is not a launch template name: {} to {} letters, digits and {}", name,
                             kMinNameBytes, kMaxNameBytes, kNameMarks));
}

Status check_limits(const LaunchChoices& choices) {
  for (const std::string& path : {choices.kernel, choices.initrd}) {
    if (!path.empty() && path.front() != '/') return invalid("not an absolute path: " + path);
  }
  if (!choices.source.empty() && !ImageId::parse(choices.source).ok() &&
      !SnapshotId::parse(choices.source).ok())
    return invalid(fmt::format("'{}' is the id of neither a snapshot nor an image", choices.source));
  TRY(check_mappings(choices.mappings));
  // Stated choices must be ones that a machine may have, so they are checked as an instance record whose
  // other fields have their defaults.
  InstanceRecord shape;
  shape.name = choices.name;
  if (choices.memory.value != 0) shape.memory = choices.memory;
  if (choices.cpus != 0) shape.cpus = choices.cpus;
  if (!choices.accelerator.empty()) shape.accelerator = choices.accelerator;
  if (!choices.network.empty()) shape.network = choices.network;
  // An initrd may be added to the kernel of another version, so an unstated kernel counts as present.
  shape.kernel = choices.kernel.empty() ? "/unstated" : choices.kernel;
  shape.initrd = choices.initrd;
  shape.append = choices.append;
  shape.devices = {{"/dev/sda", VolumeId{1}, true, {}}};
  return check_limits(shape);
}

Status check_limits(const LaunchTemplate& record) {
  TRY(check_template_name(record.name));
  if (record.owner.value == 0 || record.revision == 0 ||
      record.id != launch_template_id(record.owner, record.name))
    return invalid("a launch template has an owner, a revision, and the id of its name");
  TRY(check_numbers(record));
  for (const TemplateVersion& version : record.versions) TRY(check_version(version));
  if (encode(record).size() > kMaxLaunchTemplateBytes)
    return invalid(
        fmt::format("a launch template has at most {} bytes: delete old versions", kMaxLaunchTemplateBytes));
  return {};
}

std::string encode(const LaunchTemplate& record) {
  Json versions = Json::array();
  for (const TemplateVersion& version : record.versions) {
    versions.push_back({{"number", version.number},
                        {"created_unix_ns", version.created.unix_ns},
                        {"description", version.description},
                        {"choices", to_json(version.choices)}});
  }
  return write_json_record(kFormat, {{"id", record.id.text()},
                                     {"revision", record.revision},
                                     {"name", record.name},
                                     {"owner", record.owner.text()},
                                     {"created_unix_ns", record.created.unix_ns},
                                     {"default_version", record.default_version},
                                     {"numbers_given", record.numbers_given},
                                     {"versions", versions}});
}

Result<LaunchTemplate> decode_launch_template(std::string_view text) {
  std::uint32_t version = 0;
  const Json body = TRY(read_json_record(kFormat, text, version));
  LaunchTemplate record;
  JsonMembers members(body);
  members.id("id", record.id);
  members.number("revision", record.revision);
  members.text("name", record.name);
  members.id("owner", record.owner);
  members.number("created_unix_ns", record.created.unix_ns);
  members.number("default_version", record.default_version);
  members.number("numbers_given", record.numbers_given);
  const bool versions = read(members.array("versions"), record.versions);
  if (!versions || !members.all_read())
    return corrupt("launch template: a member is missing, of a wrong type, or unknown");
  Status limits = check_limits(record);
  if (!limits.ok()) return corrupt("launch template: " + limits.error().text());
  return record;
}

}  // namespace ashlar
