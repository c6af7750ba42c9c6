// A client of QEMU's monitor protocol (QMP): one command at a time, one line of JSON each way. Events in
// between are passed over. QEMU serves one client at a time, so a client is held no longer than needed.
//
// Every call takes the time that it may take; kBusy says that QEMU did not answer in it. Not thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace ashlar {

class Qmp {
 public:
  // To the socket qmp.sock of a machine's directory. kNotFound when nobody listens there.
  static Result<std::unique_ptr<Qmp>> connect(const std::string& directory, double seconds);

  // "running", "paused", "shutdown", …
  Result<std::string> status(double seconds);
  Status stop(double seconds) { return command("stop", seconds); }
  Status resume(double seconds) { return command("cont", seconds); }
  // The power button: what follows is up to the guest.
  Status power_down(double seconds) { return command("system_powerdown", seconds); }
  // QEMU writes back what it holds, and ends.
  Status quit(double seconds) { return command("quit", seconds); }

  // kIo when QEMU refuses the command, with its own words.
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
