#include "process/working_process.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "io/file_system.h"

namespace ashlar {
namespace {

constexpr double kEndSeconds = 5;
constexpr std::size_t kMaxSaid = 4096;

}  // namespace

Result<std::unique_ptr<WorkingProcess>> WorkingProcess::start(const std::vector<std::string>& words,
                                                              const std::string& directory, Words said) {
  const std::string name = words.front().substr(words.front().rfind('/') + 1);
  std::string log = said == Words::kLogged ? fmt::format("{}/{}.log", directory, name) : "/dev/null";
  WaitingChild child = TRY(WaitingChild::fork({words, directory, log, true}));
  RunningProcess process = TRY(RunningProcess::find(child.process()));
  std::unique_ptr<WorkingProcess> working(
      new WorkingProcess(name, std::move(log), std::move(process), child.process().pid));
  TRY(child.let_go());
  return working;
}

WorkingProcess::~WorkingProcess() {
  if (wait(0)) return;
  best_effort(process_.signal(SIGTERM));
  if (wait(kEndSeconds)) return;
  best_effort(process_.signal(SIGKILL));
  (void)wait(kEndSeconds);
}

bool WorkingProcess::wait(double seconds) {
  if (has_ended_) return true;
  if (!process_.wait(seconds)) return false;
  int status = 0;
  pid_t reaped = -1;
  do {
    reaped = ::waitpid(static_cast<pid_t>(pid_), &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == static_cast<pid_t>(pid_)) status_ = status;
  has_ended_ = true;
  return true;
}

std::string WorkingProcess::said() const {
  const auto file = posix_file_system().open(log_, ReadMode::kCached);
  if (!file.ok()) return {};
  std::string text(kMaxSaid, '\0');
  const auto got = file.value()->read_at(0, std::as_writable_bytes(std::span(text)));
  text.resize(got.ok() ? got.value() : 0);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.find("warning:") == std::string::npos) return line;
    at = end + 1;
  }
  return {};
}

std::optional<int> WorkingProcess::exit_status() const {
  if (!status_ || !WIFEXITED(*status_)) return std::nullopt;
  return WEXITSTATUS(*status_);
}

Status WorkingProcess::outcome() const {
  if (exit_status() == 0) return {};
  const std::string line = said();
  if (!line.empty()) return Error(ErrorCode::kIo, line);
  if (!status_) return Error(ErrorCode::kIo, fmt::format("it is unknown how {} ended", name_));
  if (WIFSIGNALED(*status_))
    return Error(ErrorCode::kIo, fmt::format("{} was ended by signal {}", name_, WTERMSIG(*status_)));
  return Error(ErrorCode::kIo, fmt::format("{} failed and printed nothing", name_));
}

}  // namespace ashlar
