// The descriptor of an OVA: what machine it is and which of the members are its disks. Read with pugixml,
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
  std::string file;  // the member's name
  ByteCount capacity;
};

struct OvfMachine {
  std::string name;        // may be empty
  std::string annotation;  // may be empty
  bool is_uefi = false;
  // By controller and place on it, else in the order of the items; at least one.
  std::vector<OvfDisk> disks;
  std::vector<std::string> left_out;  // files that are no disk of the machine: CD images, for instance
};

// kInvalid, kUnsupported; messages go behind the file's name.
Result<OvfMachine> parse_ovf(std::string_view text);

}  // namespace ashlar
