// Who a process is, so that others can tell whether it still lives.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace ashlar {

struct ProcessIdentity {
  std::array<std::byte, 16> boot{};  // /proc/sys/kernel/random/boot_id: after a reboot no pid means anything
  std::uint32_t pid = 0;
  std::uint64_t pid_started = 0;  // field 22 of /proc/PID/stat, in clock ticks since boot
  friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

Result<ProcessIdentity> this_process();

// Names the place in which a pid means one process: host name, machine id and pid namespace. Host names alone
// are shared by clones of a machine, and pids by the containers of one.
std::string pid_namespace_name();

// When the process started; nothing when no process of this host has that pid.
Result<std::optional<std::uint64_t>> process_start(std::uint32_t pid);
// Field 22 of the one line of a /proc/PID/stat. The command name, field 2, may hold spaces and parentheses.
std::optional<std::uint64_t> parse_stat_start(const std::string& line);

}  // namespace ashlar
