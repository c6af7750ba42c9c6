#include "disk/disk_format.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace ashlar {
namespace {

struct Words {
  DiskFormat format;
  std::string_view name;  // also the ending of file names
  std::string_view driver;
};

constexpr std::array<Words, 5> kWords = {{{DiskFormat::kRaw, "raw", "raw"},
                                          {DiskFormat::kQcow2, "qcow2", "qcow2"},
                                          {DiskFormat::kVmdk, "vmdk", "vmdk"},
                                          {DiskFormat::kVhd, "vhd", "vpc"},
                                          {DiskFormat::kVhdx, "vhdx", "vhdx"}}};

const Words& words_of(DiskFormat format) { return kWords[static_cast<std::size_t>(format)]; }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::string_view disk_format_name(DiskFormat format) { return words_of(format).name; }
std::string_view qemu_driver(DiskFormat format) { return words_of(format).driver; }

Result<DiskFormat> parse_disk_format(std::string_view text) {
  for (const Words& words : kWords) {
    if (text == words.name) return words.format;
  }
  return invalid(fmt::format("'{}' is not a disk format: raw, qcow2, vmdk, vhd or vhdx", text));
}

Result<DiskFormat> disk_format_of_name(std::string_view name) {
  const std::string_view last = name.substr(name.rfind('/') + 1);
  const std::size_t dot = last.rfind('.');
  if (dot != std::string_view::npos) {
    auto format = parse_disk_format(lower(last.substr(dot + 1)));
    if (format.ok()) return format;
  }
  return invalid(fmt::format("the name '{}' does not say its format", last))
      .about(ErrorKind::kFormatUnknown, std::string(last));
}

}  // namespace ashlar
