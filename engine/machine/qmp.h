// Qmp: a client of QEMU's monitor protocol (QMP): one command at a time, one line of JSON each way. Events in
// between are skipped. QEMU serves one client at a time, so a client should be destroyed as soon as possible.
// Internal to the module.
//
// Each call takes a limit in seconds, and returns kBusy when QEMU did not answer within it. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class Qmp {
 public:
  // Connects to the socket qmp.sock of a machine's directory. Returns kNotFound when no QEMU listens there.
  static Result<std::unique_ptr<Qmp>> connect(const std::string& directory, double seconds);

  // Returns QEMU's run state: "running", "paused", "shutdown", …
  Result<std::string> status(double seconds);
  Status stop(double seconds) { return command("stop", seconds); }
  Status resume(double seconds) { return command("cont", seconds); }
  // Presses the power button; the guest decides what follows.
  Status power_down(double seconds) { return command("system_powerdown", seconds); }
  // Makes QEMU write back the data that it holds, and end.
  Status quit(double seconds) { return command("quit", seconds); }

  // Sends a command. Returns kIo with QEMU's own words when QEMU refuses it.
  Status command(const char* name, double seconds);

 private:
  Qmp() = default;
  Status greet(double deadline);
  Result<std::string> ask(const char* name, double seconds);
  Result<std::string> line(double deadline);
  Status send(const std::string& text, double deadline);

  UniqueFd fd_;
  std::string received_;
};

}  // namespace ashlar
