#include "machine/command_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/check.h"

namespace ashlar {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kUnixScheme = "nbd+unix:///";
constexpr std::size_t kMaxSerial = 20;  // limit of virtio
constexpr int kBootIndex = 1;           // a given kernel takes 0
constexpr std::string_view kSocketParameter = "?socket=";

// Doubles commas, as QEMU's lists of options want them.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out.append(c == ',' ? 2 : 1, c);
  return out;
}

// Returns the serial number that EC2 shows for a volume: its id without the hyphen, 20 characters, the most
// that virtio allows.
std::string serial_of(VolumeId volume) {
  std::string id = volume.text();
  std::erase(id, '-');
  return id;
}

std::string device_words(const std::string& node, const std::string& serial, std::size_t number) {
  Json device = {{"driver", "virtio-blk-pci"}, {"drive", node}, {"serial", serial}};
  if (number == 0) device["bootindex"] = kBootIndex;
  return device.dump();
}

void add_processor(std::vector<std::string>& words, const InstanceRecord& record, Accelerator accelerator) {
  const bool kvm = accelerator == Accelerator::kKvm;
  words.insert(words.end(),
               {"-machine", record.machine, "-accel", kvm ? "kvm" : "tcg", "-cpu", kvm ? "host" : "max",
                "-smp", std::to_string(record.cpus), "-m", fmt::format("{}M", record.memory.value >> 20U)});
}

void add_kernel(std::vector<std::string>& words, const InstanceRecord& record) {
  if (record.kernel.empty()) return;
  words.insert(words.end(), {"-kernel", record.kernel});
  if (!record.initrd.empty()) words.insert(words.end(), {"-initrd", record.initrd});
  if (!record.append.empty()) words.insert(words.end(), {"-append", record.append});
}

}  // namespace

Result<NbdExport> parse_nbd_export(std::string_view address) {
  const std::size_t parameter = address.find(kSocketParameter);
  if (!address.starts_with(kUnixScheme) || parameter == std::string_view::npos) {
    return unsupported(fmt::format("the server listens on {}, not on a unix socket", address))
        .about(ErrorKind::kServerElsewhere, std::string(address));
  }
  NbdExport found;
  found.name = address.substr(kUnixScheme.size(), parameter - kUnixScheme.size());
  found.socket = address.substr(parameter + kSocketParameter.size());
  if (found.name.empty() || found.socket.empty())
    return invalid(fmt::format("'{}' names no export or no socket", address));
  return found;
}

DiskWords disk_words(const NbdExport& at, VolumeId volume, std::size_t number) {
  const std::string node = fmt::format("disk{}", number);
  const Json blockdev = {
      {"driver", "nbd"},   {"node-name", node},  {"server", {{"type", "unix"}, {"path", at.socket}}},
      {"export", at.name}, {"discard", "unmap"}, {"reconnect-delay", kReconnectSeconds}};
  return {blockdev.dump(), device_words(node, serial_of(volume), number)};
}

DiskWords file_disk_words(const std::string& file, std::size_t number) {
  const std::string node = fmt::format("disk{}", number);
  const Json blockdev = {{"driver", "raw"},
                         {"node-name", node},
                         {"discard", "unmap"},
                         {"file", {{"driver", "file"}, {"filename", file}, {"discard", "unmap"}}}};
  return {blockdev.dump(), device_words(node, file.substr(0, kMaxSerial), number)};
}

std::vector<std::string> qemu_command(const std::string& program, const InstanceRecord& record,
                                      Accelerator accelerator, const std::vector<NbdExport>& exports) {
  auto at = exports.begin();
  const std::string name = record.name.empty() ? record.id.text() : record.name;
  std::vector<std::string> words = {
      program,       "-name",           "guest=" + escaped(name),
      "-nodefaults", "-no-user-config", "-display",
      "none",        "-sandbox",        "on,obsolete=deny,elevateprivileges=deny,spawn=deny"};
  add_processor(words, record, accelerator);
  add_kernel(words, record);
  for (std::size_t i = 0; i < record.devices.size(); ++i) {
    const InstanceDevice& device = record.devices[i];
    CHECK(!device.file.empty() || at != exports.end());
    const DiskWords disk =
        device.file.empty() ? disk_words(*at++, device.volume, i) : file_disk_words(device.file, i);
    words.insert(words.end(), {"-blockdev", disk.blockdev, "-device", disk.device});
  }
  CHECK(at == exports.end());
  words.insert(words.end(), {"-device", "virtio-rng-pci"});
  if (record.network == "user")
    words.insert(words.end(), {"-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"});
  words.insert(words.end(), {"-chardev", fmt::format("file,id=console,path={},append=on", kConsoleName),
                             "-serial", "chardev:console", "-chardev",
                             fmt::format("socket,id=qmp,path={},server=on,wait=off", kQmpSocketName), "-mon",
                             "chardev=qmp,mode=control"});
  return words;
}

}  // namespace ashlar
