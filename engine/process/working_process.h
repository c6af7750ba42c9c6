// WorkingProcess: a program of the host that works for us while we go on: qemu-img, qemu-nbd. It ends with
// us, also when we are killed.
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
  // `words`: the program's path first. What it says goes to a log in `directory`, which is its working
  // directory; or nowhere, when it may say any number of lines. To be called by a thread that lives as long
  // as the object.
  enum class Words : unsigned char { kLogged, kDropped };
  static Result<std::unique_ptr<WorkingProcess>> start(const std::vector<std::string>& words,
                                                       const std::string& directory,
                                                       Words said = Words::kLogged);
  // Ends it when it runs: SIGTERM, and SIGKILL when that takes too long.
  ~WorkingProcess();
  WorkingProcess(const WorkingProcess&) = delete;
  WorkingProcess& operator=(const WorkingProcess&) = delete;

  // Whether it ended within `seconds`.
  bool wait(double seconds);
  // Once it ended: kIo with what it said, unless its exit status was 0.
  Status outcome() const;
  // Once it ended: its exit status; nothing when a signal ended it, or when it is not known.
  std::optional<int> exit_status() const;
  // The first line that it said and that is no warning: later ones are what follows from it. May be empty.
  std::string said() const;

 private:
  WorkingProcess(std::string name, std::string log, RunningProcess process, std::uint32_t pid)
      : name_(std::move(name)), log_(std::move(log)), process_(std::move(process)), pid_(pid) {}

  const std::string name_;
  const std::string log_;
  const RunningProcess process_;
  const std::uint32_t pid_;
  bool has_ended_ = false;
  // As waitpid() gives it; nothing when it can't be had, as where SIGCHLD is ignored.
  std::optional<int> status_;
};

}  // namespace ashlar
