// Background processes: starts programs that may outlive this process, and finds them again.
//
// A program is started in two steps, so that its process is written down before it does anything: fork()
// makes a child that waits, the caller records its identity, and let_go() turns it into the program. When the
// caller dies in between, the child ends.
//
// A process is identified by boot, pid and start time, and is held by a pidfd from the moment it was checked.
// So a pid that is reused by another process is never signalled.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "process/process_identity.h"

namespace ashlar {

struct BackgroundCommand {
  std::vector<std::string> words;  // the program's path, then its arguments
  std::string directory;           // working directory of the program
  std::string log;                 // file to which its standard output and error are appended
  bool ends_with_us = false;       // the program gets SIGTERM when the starting thread ends in any way
};

// Returns the path of a program of the host. Fails with kUnsupported when it is not installed; the message
// names the Debian package.
Result<std::string> find_program(const std::string& name, const std::string& package);

class WaitingChild {
 public:
  // Forks a child that waits. The child leads its own session, without a terminal, with default signals and
  // without our open files.
  static Result<WaitingChild> fork(const BackgroundCommand& command);
  WaitingChild(WaitingChild&&) = default;
  WaitingChild& operator=(WaitingChild&&) = default;
  WaitingChild(const WaitingChild&) = delete;
  WaitingChild& operator=(const WaitingChild&) = delete;
  // Ends the child, unless let_go() was called.
  ~WaitingChild() = default;

  const ProcessIdentity& process() const { return process_; }
  // Lets the child become the program. When the program can't be executed, the child ends and says so in its
  // log.
  Status let_go();

 private:
  WaitingChild() = default;
  ProcessIdentity process_;
  UniqueFd go_;
};

class RunningProcess {
 public:
  // Returns kNotFound when the process has ended, also when its exit status was not collected yet.
  static Result<RunningProcess> find(const ProcessIdentity& process);
  // Waits at most `seconds` and returns whether the process has ended.
  bool wait(double seconds) const;
  Status signal(int number) const;

 private:
  explicit RunningProcess(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

Result<bool> is_running(const ProcessIdentity& process);
Result<ProcessIdentity> process_of(std::uint32_t pid);

// Returns the last line of a log that was `from` bytes long before, without the line's end; empty when no
// bytes were added.
std::string last_line(const std::string& log, std::uint64_t from);

}  // namespace ashlar
