#include "format/instance_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "codec/hash.h"
#include "format/tags.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kFormat = "ashlar instance";
constexpr std::array kWishes = {"running", "stopped", "terminated"};
constexpr int kDepth = 3;  // the record, its devices, one device
constexpr std::size_t kMaxPathBytes = 4096;
constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20U;

Error damaged(std::string_view what) { return corrupt(fmt::format("instance record: {}", what)); }

// As in ashlar.json: XXH3-64 of the compact dump without the checksum member.
std::string checksum_of(Json body) {
  body.erase("checksum");
  return fmt::format("{:016x}", checksum64(as_byte_span(body.dump())));
}

// Reads the members of one object, and knows in the end whether it held anything else.
class Members {
 public:
  explicit Members(const Json& body) : body_(body) {}

  void text(const char* key, std::string& out) {
    const Json* member = find(key);
    if (member && member->is_string()) {
      out = member->get<std::string>();
    } else {
      fine_ = false;
    }
  }
  template <std::unsigned_integral T>
  void number(const char* key, T& out) {
    const Json* member = find(key);
    if (member && member->is_number_unsigned() && std::in_range<T>(member->get<std::uint64_t>())) {
      out = member->get<T>();
    } else {
      fine_ = false;
    }
  }
  void flag(const char* key, bool& out) {
    const Json* member = find(key);
    if (member && member->is_boolean()) {
      out = member->get<bool>();
    } else {
      fine_ = false;
    }
  }
  template <class Id>
  void id(const char* key, Id& out) {
    std::string written;
    text(key, written);
    const auto parsed = Id::parse(written);
    if (parsed.ok() && parsed.value() != Id{}) {
      out = parsed.value();
    } else {
      fine_ = false;
    }
  }
  const Json* array(const char* key) {
    const Json* member = find(key);
    if (member && member->is_array()) return member;
    fine_ = false;
    return nullptr;
  }
  // Every member asked for was there and of its type, and there is no other.
  bool all_read() const { return fine_ && read_.size() == body_.size(); }

 private:
  const Json* find(const char* key) {
    read_.insert(key);
    const auto member = body_.find(key);
    return member == body_.end() ? nullptr : &*member;
  }

  const Json& body_;
  std::set<std::string> read_;
  bool fine_ = true;
};

Json to_json(const InstanceDevice& device) {
  return {{"device", device.name},
          {"volume", device.volume.text()},
          {"delete_on_termination", device.delete_on_termination}};
}

bool read(const Json& body, std::vector<InstanceDevice>& out) {
  for (const Json& one : body) {
    if (!one.is_object()) return false;
    InstanceDevice device;
    Members members(one);
    members.text("device", device.name);
    members.id("volume", device.volume);
    members.flag("delete_on_termination", device.delete_on_termination);
    if (!members.all_read()) return false;
    out.push_back(std::move(device));
  }
  return true;
}

// A pid of 0 is none.
bool read_process(Members& members, std::optional<InstanceProcess>& out) {
  InstanceProcess process;
  std::string boot;
  members.text("boot", boot);
  members.number("pid", process.pid);
  members.number("pid_started", process.pid_started);
  if (!from_hex(boot, process.boot).ok()) return false;
  if (process.pid != 0) out = process;
  return process.pid != 0 || process == InstanceProcess{};
}

bool read_wish(Members& members, InstanceWish& out) {
  std::string wish;
  members.text("wanted", wish);
  const auto found = std::ranges::find(kWishes, wish);
  out = static_cast<InstanceWish>(found - kWishes.begin());
  return found != kWishes.end();
}

Result<InstanceRecord> read_record(const Json& body) {
  InstanceRecord record;
  Members members(body);
  std::string passed_over;
  std::uint32_t version = 0;
  members.text("format", passed_over);
  members.number("version", version);
  members.text("checksum", passed_over);
  members.id("id", record.id);
  members.text("name", record.name);
  members.number("created_unix_ns", record.created.unix_ns);
  members.id("snapshot", record.snapshot);
  members.text("machine", record.machine);
  members.number("memory_bytes", record.memory.value);
  members.number("cpus", record.cpus);
  members.text("accelerator", record.accelerator);
  members.text("network", record.network);
  members.text("kernel", record.kernel);
  members.text("initrd", record.initrd);
  members.text("append", record.append);
  const Json* devices = members.array("devices");
  const bool wish = read_wish(members, record.wish);
  const bool process = read_process(members, record.process);
  if (!wish || !process || !devices || !read(*devices, record.devices) || !members.all_read()) {
    return damaged("a member is missing, of a wrong type, or unknown");
  }
  Status limits = check_limits(record);
  if (!limits.ok()) return damaged(limits.error().text());
  return record;
}

// JSON has no way to write anything else.
Status check_words(std::string_view what, const std::string& text, std::size_t limit) {
  TRY(check_text(what, text, limit));
  const std::string written = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  if (Json::parse(written, nullptr, false) == text && text.find('\0') == std::string::npos) return {};
  return invalid(fmt::format("{} is not UTF-8", what));
}

Status check_path(std::string_view what, const std::string& path) {
  if (path.empty()) return {};
  if (path.front() != '/') return invalid(fmt::format("{} is not an absolute path: {}", what, path));
  return check_words(what, path, kMaxPathBytes);
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
    const bool shaped =
        device.name.starts_with("/dev/") && device.name.size() > 5 && device.name.size() <= 32;
    const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/'; };
    if (!shaped || !std::ranges::all_of(device.name, is_plain)) {
      return invalid(fmt::format("'{}' is no device name such as /dev/sda", device.name));
    }
    if (!names.insert(device.name).second) return invalid(device.name + " is there twice");
    if (!volumes.insert(device.volume).second) return invalid(device.volume.text() + " is there twice");
  }
  return {};
}

}  // namespace

std::string_view instance_wish_name(InstanceWish wish) { return kWishes.at(static_cast<std::size_t>(wish)); }

Status check_limits(const InstanceRecord& record) {
  TRY(check_words("the name", record.name, kMaxTextBytes));
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
    return invalid(fmt::format("'{}' is no machine type", record.machine));
  if (!is_one_of(record.accelerator, {"auto", "kvm", "tcg"}))
    return invalid(fmt::format("'{}' is none of auto, kvm and tcg", record.accelerator));
  if (!is_one_of(record.network, {"none", "user"}))
    return invalid(fmt::format("'{}' is none of none and user", record.network));
  TRY(check_path("the kernel", record.kernel));
  TRY(check_path("the initrd", record.initrd));
  TRY(check_words("the kernel's command line", record.append, kMaxPathBytes));
  if (record.kernel.empty() && !(record.initrd.empty() && record.append.empty()))
    return invalid("an initrd or a kernel's command line without a kernel");
  return check_devices(record.devices);
}

std::string encode(const InstanceRecord& record) {
  const InstanceProcess process = record.process.value_or(InstanceProcess{});
  Json devices = Json::array();
  for (const InstanceDevice& device : record.devices) devices.push_back(to_json(device));
  Json body = {{"format", kFormat},
               {"version", kInstanceVersion},
               {"id", record.id.text()},
               {"name", record.name},
               {"created_unix_ns", record.created.unix_ns},
               {"wanted", instance_wish_name(record.wish)},
               {"snapshot", record.snapshot.text()},
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
  body["checksum"] = checksum_of(body);
  return body.dump(2) + "\n";
}

Result<InstanceRecord> decode_instance_record(std::string_view text) {
  if (text.size() > kMaxInstanceRecordBytes) return damaged("too long");
  bool deep = false;
  const auto shallow = [&deep](int depth, Json::parse_event_t, const Json&) {
    if (depth > kDepth) deep = true;
    return !deep;
  };
  const Json body = Json::parse(text, shallow, false);
  if (deep || !body.is_object() || body.value("format", Json()) != kFormat) {
    return damaged("this is not the record of an instance");
  }
  const Json version = body.value("version", Json());
  if (!version.is_number_unsigned() || version == 0U) return damaged("impossible version");
  if (version > kInstanceVersion) {
    return unsupported(fmt::format("instance record: format version {} is newer than this program",
                                   version.get<std::uint64_t>()));
  }
  if (body.value("checksum", Json()) != checksum_of(body)) return damaged("checksum does not match");
  return read_record(body);
}

}  // namespace ashlar
