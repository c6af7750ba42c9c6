// Programs in the background that may outlive us, and finding them again.
//
// A program is started in two steps, so that its process is written down before it does anything: fork() a
// child that waits, record who it is, let it become the program. If we die in between, the child ends.
//
// A process is known by boot, pid and start time, and held by a pidfd from the moment it was checked: a pid
// that has become somebody else's is never signalled.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "process/process_identity.h"

namespace ashlar {

struct BackgroundCommand {
  std::vector<std::string> words;  // the program's path first
  std::string directory;           // its working directory
  std::string log;                 // gets its standard output and error, at the end
  bool ends_with_us = false;       // SIGTERM when the thread that started it ends, in whatever way
};

// The path of a program of the host. kUnsupported, and the message says which Debian package has it.
Result<std::string> find_program(const std::string& name, const std::string& package);

class WaitingChild {
 public:
  // The child leads a session of its own, without a terminal, with default signals and no file of ours.
  static Result<WaitingChild> fork(const BackgroundCommand& command);
  WaitingChild(WaitingChild&&) = default;
  WaitingChild& operator=(WaitingChild&&) = default;
  WaitingChild(const WaitingChild&) = delete;
  WaitingChild& operator=(const WaitingChild&) = delete;
  // Unless let go, the child ends.
  ~WaitingChild() = default;

  const ProcessIdentity& process() const { return process_; }
  // It becomes the program; one that can't be executed ends and says so in its log.
  Status let_go();

 private:
  WaitingChild() = default;
  ProcessIdentity process_;
  UniqueFd go_;
};

class RunningProcess {
 public:
  // kNotFound when it has ended, whether or not somebody asked for its exit status.
  static Result<RunningProcess> find(const ProcessIdentity& process);
  // Whether it ended within `seconds`.
  bool wait(double seconds) const;
  Status signal(int number) const;

 private:
  explicit RunningProcess(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

Result<bool> is_running(const ProcessIdentity& process);
Result<ProcessIdentity> process_of(std::uint32_t pid);

// The last line of a log that was `from` bytes long before, without its end; empty when nothing was added.
std::string last_line(const std::string& log, std::uint64_t from);

}  // namespace ashlar
