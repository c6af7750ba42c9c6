// WorkingProcess: a program of the host that works for this process in the background, such as qemu-img or
// qemu-nbd. It ends when this process ends, also when this process is killed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "process/background_process.h"

namespace ashlar {

class WorkingProcess {
 public:
  // Starts a program. `words` are its path and then its arguments; `directory` is its working directory. Its
  // output goes to a log in `directory`, or is dropped when it may be of any length. The calling thread must
  // live as long as the object, because the program ends with that thread.
  enum class Words : unsigned char { kLogged, kDropped };
  static Result<std::unique_ptr<WorkingProcess>> start(const std::vector<std::string>& words,
                                                       const std::string& directory,
                                                       Words said = Words::kLogged);
  // Ends the program if it still runs: SIGTERM, and SIGKILL when that takes too long.
  ~WorkingProcess();
  WorkingProcess(const WorkingProcess&) = delete;
  WorkingProcess& operator=(const WorkingProcess&) = delete;

  // Waits at most `seconds` and returns whether the program has ended.
  bool wait(double seconds);
  // Returns ok when the exit status was 0, otherwise kIo with the program's message. To be called after it
  // ended.
  Status outcome() const;
  // Returns the exit status; nothing when a signal ended the program, or when the status is unknown. To be
  // called after it ended.
  std::optional<int> exit_status() const;
  // Returns the first line of output that is not a warning, because later lines only follow from it. May be
  // empty.
  std::string said() const;

 private:
  WorkingProcess(std::string name, std::string log, RunningProcess process, std::uint32_t pid)
      : name_(std::move(name)), log_(std::move(log)), process_(std::move(process)), pid_(pid) {}

  const std::string name_;
  const std::string log_;
  const RunningProcess process_;
  const std::uint32_t pid_;
  bool has_ended_ = false;
  // The status from waitpid(); nothing when it can't be had, as when SIGCHLD is ignored.
  std::optional<int> status_;
};

}  // namespace ashlar
