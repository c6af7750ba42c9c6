#include "process/background_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "base/interrupted.h"
#include "io/file_system.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::uint64_t kTailBytes = 4096;
constexpr double kLongestPollSeconds = 24 * 60 * 60;

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe() {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return last_errno("pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void reset_signals() {
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) (void)::signal(number, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void give_up(const char* what) {
  (void)!::write(STDERR_FILENO, what, std::strlen(what));
  ::_exit(127);
}

// Turns the child into the program. It runs after fork() in a program with threads, so it may use system
// calls only.
[[noreturn]] void become(char* const* words, const BackgroundCommand& command, int log, int nothing, int go) {
  ::setsid();
  reset_signals();
  if (command.ends_with_us) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::dup2(nothing, STDIN_FILENO);
  ::close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  char let = 0;
  if (::read(go, &let, 1) != 1) ::_exit(127);
  if (::chdir(command.directory.c_str()) != 0) give_up("the working directory can't be entered\n");
  ::execv(words[0], words);
  give_up("the program can't be executed\n");
}

// Opens a pidfd by its system call number: glibc 2.36 declares the function for C only.
int open_pid(std::uint32_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

Result<UniqueFd> opened(const std::string& path, int flags) {
  UniqueFd fd(uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0600); }));
  if (!fd.valid()) return last_errno(path);
  return fd;
}

}  // namespace

Result<std::string> find_program(const std::string& name, const std::string& package) {
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): never changed here
  std::string folders = path && *path ? path : kDefaultPath;
  folders += ":/usr/sbin:/sbin";
  for (std::size_t at = 0; at <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    const std::string found = fmt::format("{}/{}", folders.substr(at, end - at), name);
    if (end > at && folders[at] == '/' && ::access(found.c_str(), X_OK) == 0) return found;
    at = end + 1;
  }
  return unsupported(fmt::format("this host has no {}: on Debian, apt install {}", name, package));
}

Result<WaitingChild> WaitingChild::fork(const BackgroundCommand& command) {
  const UniqueFd log = TRY(opened(command.log, O_WRONLY | O_CREAT | O_APPEND));
  const UniqueFd nothing = TRY(opened("/dev/null", O_RDONLY));
  Pipe pipe = TRY(make_pipe());
  std::vector<char*> words;
  words.reserve(command.words.size() + 1);
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return last_errno("fork");
  if (pid == 0) {
    ::close(pipe.write.get());
    become(words.data(), command, log.get(), nothing.get(), pipe.read.get());
  }
  WaitingChild child;
  child.go_ = std::move(pipe.write);
  auto process = process_of(static_cast<std::uint32_t>(pid));
  if (!process.ok()) {
    // The child still waits for its word and runs nothing: it is ended and reaped here.
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return process.take_error();
  }
  child.process_ = process.take();
  return child;
}

Status WaitingChild::let_go() {
  const char let = 1;
  if (::write(go_.get(), &let, 1) != 1) return last_errno("start a program");
  go_.reset();
  return {};
}

Result<RunningProcess> RunningProcess::find(const ProcessIdentity& process) {
  const Error gone = not_found(fmt::format("process {} has ended", process.pid));
  if (process.pid == 0 || TRY(this_process()).boot != process.boot) return not_found(gone.text());
  RunningProcess running(UniqueFd(open_pid(process.pid)));
  if (!running.fd_.valid()) {
    if (errno == ESRCH || errno == EINVAL) return not_found(gone.text());
    return last_errno(fmt::format("process {}", process.pid));
  }
  const auto start = TRY(process_start(process.pid));
  if (!start || *start != process.pid_started || running.wait(0)) return not_found(gone.text());
  return running;
}

bool RunningProcess::wait(double seconds) const {
  const double deadline = monotonic_seconds() + seconds;
  while (true) {
    const double left = std::max(0.0, deadline - monotonic_seconds());
    pollfd ended{fd_.get(), POLLIN, 0};
    // A day at most at once: the milliseconds of a longer wait do not fit an int.
    const int got = ::poll(&ended, 1, static_cast<int>(std::min(left, kLongestPollSeconds) * 1000));
    if (got > 0) return true;
    if (got == 0 && monotonic_seconds() >= deadline) return false;
  }
}

Status RunningProcess::signal(int number) const {
  if (::syscall(SYS_pidfd_send_signal, fd_.get(), number, nullptr, 0) == 0 || errno == ESRCH) return {};
  return last_errno("signal a process");
}

Result<bool> is_running(const ProcessIdentity& process) {
  auto found = RunningProcess::find(process);
  if (found.ok()) return true;
  if (found.error().code() == ErrorCode::kNotFound) return false;
  return found.take_error();
}

Result<ProcessIdentity> process_of(std::uint32_t pid) {
  ProcessIdentity process;
  process.boot = TRY(this_process()).boot;
  process.pid = pid;
  const auto start = TRY(process_start(pid));
  if (!start) return not_found(fmt::format("process {} has ended", pid));
  process.pid_started = *start;
  return process;
}

std::string last_line(const std::string& log, std::uint64_t from) {
  auto file = posix_file_system().open(log, ReadMode::kCached);
  if (!file.ok()) return {};
  auto size = file.value()->size();
  if (!size.ok() || size.value() <= from) return {};
  const std::uint64_t start = std::max(from, size.value() - std::min(size.value(), kTailBytes));
  std::string text(size.value() - start, '\0');
  const auto bytes = std::as_writable_bytes(std::span(text));
  if (!file.value()->read_at(start, bytes).ok()) return {};
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace ashlar
