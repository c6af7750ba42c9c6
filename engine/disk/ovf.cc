#include "disk/ovf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <pugixml.hpp>
#include <set>

#include "base/checked.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxItems = 1024;
constexpr std::string_view kDiskItem = "17";  // CIM_ResourceAllocationSettingData.ResourceType: disk drive
constexpr std::string_view kDiskResource = "/disk/";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// Returns a name without its prefix, which is the writer's choice: "ovf:", "rasd:" or none.
std::string_view local(std::string_view name) { return name.substr(name.find(':') + 1); }

std::vector<pugi::xml_node> children(const pugi::xml_node& node, std::string_view name) {
  std::vector<pugi::xml_node> found;
  for (const pugi::xml_node& child : node.children()) {
    if (local(child.name()) == name) found.push_back(child);
  }
  return found;
}

pugi::xml_node child(const pugi::xml_node& node, std::string_view name) {
  const auto found = children(node, name);
  return found.empty() ? pugi::xml_node() : found.front();
}

std::string_view text_of(const pugi::xml_node& node) { return trimmed(node.child_value()); }

std::string attribute(const pugi::xml_node& node, std::string_view name) {
  for (const pugi::xml_attribute& one : node.attributes()) {
    if (local(one.name()) == name) return std::string(trimmed(one.value()));
  }
  return {};
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Returns the bytes of a unit: "byte", "byte * 2^30" (DSP0004, programmatic units), and the names in older
// descriptors.
std::optional<std::uint64_t> unit_bytes(const std::string& unit) {
  if (unit.empty() || unit == "byte" || unit == "bytes") return 1;
  if (unit == "KiloBytes") return std::uint64_t{1} << 10U;
  if (unit == "MegaBytes") return std::uint64_t{1} << 20U;
  if (unit == "GigaBytes") return std::uint64_t{1} << 30U;
  std::string packed;
  std::ranges::copy_if(unit, std::back_inserter(packed), [](char c) { return c != ' '; });
  constexpr std::string_view kPower = "byte*2^";
  if (!packed.starts_with(kPower)) return std::nullopt;
  const auto power = number(std::string_view(packed).substr(kPower.size()));
  if (!power || *power > 50) return std::nullopt;
  return std::uint64_t{1} << *power;
}

Result<ByteCount> capacity_of(const pugi::xml_node& disk) {
  const std::string text = attribute(disk, "capacity");
  const auto count = number(text);
  const auto unit = unit_bytes(attribute(disk, "capacityAllocationUnits"));
  const auto bytes = count && unit ? checked_mul(*count, *unit) : std::nullopt;
  if (!bytes || *bytes == 0 || *bytes > kMaxVolumeBytes)
    return invalid(fmt::format("has a disk of the capacity '{}', which is not a size", text.substr(0, 64)));
  return ByteCount{*bytes};
}

// Returns the file references by id.
Result<std::map<std::string, std::string>> read_files(const pugi::xml_node& envelope) {
  std::map<std::string, std::string> files;
  for (const pugi::xml_node& file : children(child(envelope, "References"), "File")) {
    const std::string id = attribute(file, "id");
    const std::string compression = attribute(file, "compression");
    if (!compression.empty() && compression != "identity")
      return unsupported(fmt::format("has files compressed with {}: unpack it, and pack it again without",
                                     compression.substr(0, 64)));
    if (!attribute(file, "chunkSize").empty()) return unsupported("has a file that is cut into pieces");
    if (files.size() == kMaxItems) return invalid("names too many files");
    if (!files.emplace(id, attribute(file, "href")).second)
      return invalid(fmt::format("has two files with the id '{}'", id.substr(0, 64)));
  }
  return files;
}

Result<std::map<std::string, OvfDisk>> read_disks(const pugi::xml_node& envelope,
                                                  const std::map<std::string, std::string>& files) {
  std::map<std::string, OvfDisk> disks;
  for (const pugi::xml_node& disk : children(child(envelope, "DiskSection"), "Disk")) {
    const std::string id = attribute(disk, "diskId");
    if (!attribute(disk, "parentRef").empty()) return unsupported("has a disk that depends on another disk");
    if (attribute(disk, "format").find("vmdk") == std::string::npos)
      return unsupported("has a disk of another format than vmdk");
    const auto file = files.find(attribute(disk, "fileRef"));
    if (file == files.end()) return unsupported("has a disk without a file");
    if (disks.size() == kMaxItems) return invalid("names too many disks");
    const ByteCount capacity = TRY(capacity_of(disk));
    if (!disks.emplace(id, OvfDisk{file->second, capacity}).second)
      return invalid(fmt::format("has two disks with the id '{}'", id.substr(0, 64)));
  }
  return disks;
}

// Returns the id of the disk that an item of the hardware stands for; "ovf:/disk/ID", or without the scheme.
Result<std::string> disk_id_of(const pugi::xml_node& item) {
  std::string_view resource = text_of(child(item, "HostResource"));
  if (resource.starts_with("ovf:")) resource.remove_prefix(4);
  if (!resource.starts_with(kDiskResource)) return unsupported("has a disk drive without a disk");
  return std::string(resource.substr(kDiskResource.size()));
}

// The sort key of a drive: hypervisors order drives by controller and place on it, not by the order of the
// items. Controllers are ordered by kind, as the machine names the kinds first, then by their own address,
// then as the items name them. An item that lacks a number comes after those that have it.
using Place = std::array<std::uint64_t, 4>;
constexpr std::uint64_t kUnsaid = ~std::uint64_t{0};

bool is_item(const pugi::xml_node& node) {
  return local(node.name()) == "Item" || local(node.name()) == "StorageItem";
}

std::uint64_t number_in(const pugi::xml_node& item, std::string_view name) {
  return number(text_of(child(item, name))).value_or(kUnsaid);
}

std::map<std::string_view, Place> controllers_of(const pugi::xml_node& hardware) {
  std::map<std::string_view, Place> controllers;
  std::map<std::string_view, std::uint64_t> kinds;
  for (const pugi::xml_node& item : hardware.children()) {
    const std::string_view id = text_of(child(item, "InstanceID"));
    if (!is_item(item) || id.empty()) continue;
    const auto kind = kinds.emplace(text_of(child(item, "ResourceType")), kinds.size()).first;
    controllers.emplace(id, Place{kind->second, number_in(item, "Address"), controllers.size(), kUnsaid});
  }
  return controllers;
}

Place place_of(const pugi::xml_node& item, const std::map<std::string_view, Place>& controllers) {
  const auto controller = controllers.find(text_of(child(item, "Parent")));
  Place place = controller != controllers.end() ? controller->second : Place{kUnsaid, kUnsaid, kUnsaid};
  place.back() = number_in(item, "AddressOnParent");
  return place;
}

Status read_drives(const pugi::xml_node& hardware, const std::map<std::string, OvfDisk>& disks,
                   OvfMachine& machine) {
  const std::map<std::string_view, Place> controllers = controllers_of(hardware);
  std::set<std::string> seen;
  std::vector<std::pair<Place, OvfDisk>> drives;
  for (const pugi::xml_node& item : hardware.children()) {
    if (!is_item(item)) continue;
    if (text_of(child(item, "ResourceType")) != kDiskItem) continue;
    const std::string id = TRY(disk_id_of(item));
    const auto disk = disks.find(id);
    if (disk == disks.end()) return invalid(fmt::format("has no disk '{}'", id.substr(0, 64)));
    if (!seen.insert(disk->second.file).second)
      return invalid(fmt::format("has two drives for the disk '{}'", id.substr(0, 64)));
    if (drives.size() == kMaxOvfDisks)
      return unsupported(fmt::format("has more than {} disks", kMaxOvfDisks));
    drives.emplace_back(place_of(item, controllers), disk->second);
  }
  std::ranges::stable_sort(drives, {}, &std::pair<Place, OvfDisk>::first);
  machine.disks.reserve(drives.size());
  for (auto& [place, disk] : drives) machine.disks.push_back(std::move(disk));
  return machine.disks.empty() ? invalid("has a machine without disks") : Status();
}

// Returns whether the machine boots by UEFI: VMware's setting, or VirtualBox's.
bool is_uefi(const pugi::xml_node& system, const pugi::xml_node& hardware) {
  for (const pugi::xml_node& config : children(hardware, "Config")) {
    if (attribute(config, "key") == "firmware") return attribute(config, "value") == "efi";
  }
  const pugi::xml_node firmware = child(child(child(system, "Machine"), "Hardware"), "Firmware");
  return attribute(firmware, "type").starts_with("EFI");
}

}  // namespace

Result<OvfMachine> parse_ovf(std::string_view text) {
  if (text.size() > kMaxOvfBytes) return invalid("has a descriptor larger than 1 MiB");
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
  if (!parsed) return invalid(fmt::format("has a descriptor that is not XML: {}", parsed.description()));
  const pugi::xml_node envelope = document.document_element();
  if (local(envelope.name()) != "Envelope") return invalid("has a descriptor that is not an OVF document");
  const auto systems = children(envelope, "VirtualSystem");
  if (systems.size() != 1 || child(envelope, "VirtualSystemCollection"))
    return unsupported("describes several machines or none: export each machine as an OVA of its own");
  const auto hardware = children(systems.front(), "VirtualHardwareSection");
  if (hardware.size() != 1) return unsupported("has no single description of its machine's hardware");
  const auto files = TRY(read_files(envelope));
  OvfMachine machine;
  TRY(read_drives(hardware.front(), TRY(read_disks(envelope, files)), machine));
  machine.name = text_of(child(systems.front(), "Name"));
  if (machine.name.empty()) machine.name = attribute(systems.front(), "id");
  machine.annotation = text_of(child(child(systems.front(), "AnnotationSection"), "Annotation"));
  machine.is_uefi = is_uefi(systems.front(), hardware.front());
  for (const auto& [id, href] : files) {
    if (std::ranges::find(machine.disks, href, &OvfDisk::file) == machine.disks.end())
      machine.left_out.push_back(href);
  }
  return machine;
}

}  // namespace ashlar
