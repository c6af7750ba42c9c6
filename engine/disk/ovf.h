// The descriptor of an OVA: its machine, and which of the members are the machine's disks. Read with pugixml,
// which knows no external entities and expands none of a document's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint64_t kMaxOvfBytes = 1UL << 20U;
inline constexpr std::size_t kMaxOvfDisks = 26;  // /dev/sda to /dev/sdz

struct OvfDisk {
  std::string file;  // name of the member
  ByteCount capacity;
};

struct OvfMachine {
  std::string name;        // may be empty
  std::string annotation;  // may be empty
  bool is_uefi = false;
  // By controller and place on it, else in the order of the items; at least one.
  std::vector<OvfDisk> disks;
  std::vector<std::string> left_out;  // files that are not disks of the machine: CD images, for instance
};

// Parses a descriptor. Returns kInvalid or kUnsupported; the caller puts the file's name before the message.
Result<OvfMachine> parse_ovf(std::string_view text);

}  // namespace ashlar
