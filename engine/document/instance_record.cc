#include "document/instance_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "document/device_name.h"
#include "document/json_record.h"
#include "format/tags.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr JsonFormat kFormat = {"ashlar instance", "instance record", kInstanceVersion,
                                kMaxInstanceRecordBytes, 3};  // the record, its devices, one device
constexpr std::array kWishes = {"running", "stopped", "terminated"};
constexpr std::string_view kDeviceFolder = "/dev/";
constexpr std::string_view kFilePrefix = "disk-";
constexpr std::string_view kFileSuffix = ".raw";
constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

Error damaged(std::string_view what) { return corrupt(fmt::format("instance record: {}", what)); }

Json to_json(const InstanceDevice& device) {
  return {{"device", device.name},
          {"volume", device.file.empty() ? device.volume.text() : std::string()},
          {"file", device.file},
          {"delete_on_termination", device.delete_on_termination}};
}

bool read(const Json& body, std::uint32_t version, std::vector<InstanceDevice>& out) {
  for (const Json& one : body) {
    if (!one.is_object()) return false;
    InstanceDevice device;
    JsonMembers members(one);
    members.text("device", device.name);
    members.optional_id("volume", device.volume);
    if (version >= 2) members.text("file", device.file);
    members.flag("delete_on_termination", device.delete_on_termination);
    if (!members.all_read()) return false;
    out.push_back(std::move(device));
  }
  return true;
}

// Reads the process of the last start; a pid of 0 means that there is none.
bool read_process(JsonMembers& members, std::optional<ProcessIdentity>& out) {
  ProcessIdentity process;
  std::string boot;
  members.text("boot", boot);
  members.number("pid", process.pid);
  members.number("pid_started", process.pid_started);
  if (!from_hex(boot, process.boot).ok()) return false;
  if (process.pid != 0) out = process;
  return process.pid != 0 || process == ProcessIdentity{};
}

Result<InstanceRecord> read_record(const Json& body, std::uint32_t version) {
  InstanceRecord record;
  JsonMembers members(body);
  members.id("id", record.id);
  members.text("name", record.name);
  members.number("created_unix_ns", record.created.unix_ns);
  members.id("snapshot", record.snapshot);
  if (version >= 2) members.optional_id("image", record.image);
  members.text("machine", record.machine);
  members.number("memory_bytes", record.memory.value);
  members.number("cpus", record.cpus);
  members.text("accelerator", record.accelerator);
  members.text("network", record.network);
  members.text("kernel", record.kernel);
  members.text("initrd", record.initrd);
  members.text("append", record.append);
  const Json* devices = members.array("devices");
  members.name("wanted", kWishes, record.wish);
  const bool process = read_process(members, record.process);
  if (!process || !devices || !read(*devices, version, record.devices) || !members.all_read()) {
    return damaged("a member is missing, of a wrong type, or unknown");
  }
  Status limits = check_limits(record);
  if (!limits.ok()) return damaged(limits.error().text());
  return record;
}

// Accepts an absolute path and `own_name`, the name of a file in the machine's directory. Only an absolute
// path still leads to the same file when the store is moved or copied and the file lies outside of it.
Status check_path(std::string_view what, const std::string& path, std::string_view own_name) {
  if (path.empty() || path == own_name) return {};
  if (path.front() != '/') return invalid(fmt::format("{} is not an absolute path: {}", what, path));
  return check_json_text(what, path, kMaxPathBytes);
}

bool is_one_of(const std::string& word, std::initializer_list<const char*> words) {
  return std::ranges::find(words, word) != words.end();
}

Status check_devices(const std::vector<InstanceDevice>& devices) {
  if (devices.empty() || devices.size() > kMaxInstanceDevices) {
    return invalid(fmt::format("a machine has 1 to {} devices, not {}", kMaxInstanceDevices, devices.size()));
  }
  std::set<std::string> names;
  std::set<VolumeId> volumes;
  for (const InstanceDevice& device : devices) {
    TRY(check_device_name(device.name));
    if (!names.insert(device.name).second) return invalid(device.name + " is given twice");
    if ((device.volume.value == 0) == device.file.empty())
      return invalid(device.name + " is either a volume or a file");
    if (!device.file.empty() && device.file != device_file(device.name))
      return invalid(fmt::format("{}: its file is not called '{}'", device.name, device.file));
    if (device.file.empty() && !volumes.insert(device.volume).second)
      return invalid(device.volume.text() + " is given twice");
  }
  return {};
}

}  // namespace

std::string device_file(std::string_view device) {
  std::string name(device.substr(std::min(device.size(), kDeviceFolder.size())));
  std::ranges::replace(name, '/', '-');
  return fmt::format("{}{}{}", kFilePrefix, name, kFileSuffix);
}

bool is_device_file(std::string_view name) {
  return name.starts_with(kFilePrefix) && name.ends_with(kFileSuffix);
}

std::string boot_file_path(const std::string& directory, const std::string& file) {
  return file.empty() || file.front() == '/' ? file : directory + "/" + file;
}

std::string_view instance_wish_name(InstanceWish wish) { return kWishes.at(static_cast<std::size_t>(wish)); }

Status check_limits(const InstanceRecord& record) {
  TRY(check_json_text("the name", record.name, kMaxTextBytes));
  if (record.memory.value < kMinInstanceMemory || record.memory.value > kMaxInstanceMemory ||
      record.memory.value % kMebibyte != 0) {
    return invalid(
        fmt::format("memory is 16 MiB to 16 TiB, in whole MiB, not {} bytes", record.memory.value));
  }
  if (record.cpus == 0 || record.cpus > kMaxInstanceCpus)
    return invalid(fmt::format("a machine has 1 to {} processors, not {}", kMaxInstanceCpus, record.cpus));
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  };
  if (record.machine.empty() || record.machine.size() > 64 || !std::ranges::all_of(record.machine, is_word))
    return invalid(fmt::format("'{}' is not a machine type", record.machine));
  if (!is_one_of(record.accelerator, {"auto", "kvm", "tcg"}))
    return invalid(fmt::format("'{}' is not an accelerator: use auto, kvm or tcg", record.accelerator));
  if (!is_one_of(record.network, {"none", "user"}))
    return invalid(fmt::format("'{}' is not a network: use none or user", record.network));
  TRY(check_path("the kernel", record.kernel, kKernelName));
  TRY(check_path("the initrd", record.initrd, kRamdiskName));
  TRY(check_json_text("the kernel's command line", record.append, kMaxPathBytes));
  if (record.kernel.empty() && !(record.initrd.empty() && record.append.empty()))
    return invalid("an initrd or a kernel command line needs a kernel");
  return check_devices(record.devices);
}

std::string encode(const InstanceRecord& record) {
  const ProcessIdentity process = record.process.value_or(ProcessIdentity{});
  Json devices = Json::array();
  for (const InstanceDevice& device : record.devices) devices.push_back(to_json(device));
  Json body = {{"id", record.id.text()},
               {"name", record.name},
               {"created_unix_ns", record.created.unix_ns},
               {"wanted", instance_wish_name(record.wish)},
               {"snapshot", record.snapshot.text()},
               {"image", record.image.value == 0 ? std::string() : record.image.text()},
               {"machine", record.machine},
               {"memory_bytes", record.memory.value},
               {"cpus", record.cpus},
               {"accelerator", record.accelerator},
               {"network", record.network},
               {"kernel", record.kernel},
               {"initrd", record.initrd},
               {"append", record.append},
               {"devices", devices},
               {"boot", to_hex(process.boot)},
               {"pid", process.pid},
               {"pid_started", process.pid_started}};
  return write_json_record(kFormat, std::move(body));
}

Result<InstanceRecord> decode_instance_record(std::string_view text) {
  std::uint32_t version = 0;
  const Json body = TRY(read_json_record(kFormat, text, version));
  return read_record(body, version);
}

}  // namespace ashlar
