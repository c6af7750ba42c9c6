// The identity of a process, by which other processes can tell whether it is still alive.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace ashlar {

struct ProcessIdentity {
  std::array<std::byte, 16> boot{};  // /proc/sys/kernel/random/boot_id: a pid means nothing after a reboot
  std::uint32_t pid = 0;
  std::uint64_t pid_started = 0;  // field 22 of /proc/PID/stat, in clock ticks since boot
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

Result<ProcessIdentity> this_process();

// Returns a name of the place in which a pid means one process: host name, machine id and pid namespace. A
// host name alone is shared by the clones of a machine, and a pid by the containers of a host.
std::string pid_namespace_name();

// Returns the name of this host, for people.
std::string host_name();

// Returns the start time of the process with that pid; nothing when this host has none.
Result<std::optional<std::uint64_t>> process_start(std::uint32_t pid);
// Returns field 22 of the line in /proc/PID/stat. The command name, field 2, may contain spaces and
// parentheses.
std::optional<std::uint64_t> parse_stat_start(const std::string& line);

}  // namespace ashlar
