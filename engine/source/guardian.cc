#include "source/guardian.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>

namespace ashlar {
namespace {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

// Above the numbers that the child moves its three descriptors to.
constexpr int kLowestFd = 10;

Result<UniqueFd> above_standard(UniqueFd fd) {
  UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kLowestFd));
  if (!moved.valid()) return last_errno("duplicating a descriptor");
  return moved;
}

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return last_errno("making a pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  return Pipe{TRY(above_standard(std::move(read_end))), TRY(above_standard(std::move(write_end)))};
}

std::optional<int> read_answer(int fd) {
  int answer = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd, &answer, sizeof answer);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof answer) return std::nullopt;
  return answer;
}

// The child. Async-signal-safe calls only: other threads of the parent may have held any lock at the fork.
[[noreturn]] void guard(int commands, int answers, int mount) {
  ::setsid();
  ::dup2(commands, 0);
  ::dup2(answers, 1);
  ::dup2(mount, 2);
  ::close_range(3, ~0U, 0);
  int answer = ::ioctl(2, FIFREEZE, 0) == 0 ? 0 : errno;
  const bool frozen = answer == 0;
  // When the parent is gone this fails, and so does the next read.
  ssize_t ignored = ::write(1, &answer, sizeof answer);
  if (!frozen) ::_exit(1);
  char byte = 0;
  while (::read(0, &byte, 1) < 0 && errno == EINTR) {
  }
  answer = ::ioctl(2, FITHAW, 0) == 0 ? 0 : errno;
  ignored = ::write(1, &answer, sizeof answer);
  ::_exit(ignored == sizeof answer ? 0 : 1);
}

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<Guardian> Guardian::freeze(const UniqueFd& mount) {
  Pipe commands = TRY(make_pipe());
  Pipe answers = TRY(make_pipe());
  const UniqueFd held(::fcntl(mount.get(), F_DUPFD_CLOEXEC, kLowestFd));
  if (!held.valid()) return last_errno("duplicating a descriptor");

  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // the child keeps this mask
  const pid_t pid = ::fork();
  if (pid == 0) guard(commands.read_end.get(), answers.write_end.get(), held.get());
  const int fork_errno = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return Error::from_errno(fork_errno, "starting the guardian process");

  answers.write_end.reset();
  const std::optional<int> answer = read_answer(answers.read_end.get());
  if (!answer || *answer != 0) {
    commands.write_end.reset();
    reap(pid);
    if (answer) return Error::from_errno(*answer, "FIFREEZE");
    ::ioctl(mount.get(), FITHAW, 0);
    return Error(ErrorCode::kIo, "the guardian process was killed while it froze the file system");
  }
  Guardian guardian;
  guardian.commands_ = std::move(commands.write_end);
  guardian.answers_ = std::move(answers.read_end);
  guardian.pid_ = pid;
  return guardian;
}

Status Guardian::thaw(const UniqueFd& mount) {
  commands_.reset();
  const std::optional<int> answer = read_answer(answers_.get());
  reap(pid_);
  if (answer && *answer == 0) return {};
  if (answer == EINVAL)
    return Error(ErrorCode::kIo, "it was thawed by somebody else before the capture was through");
  if (::ioctl(mount.get(), FITHAW, 0) == 0 || (!answer && errno == EINVAL)) return {};
  return last_errno("FITHAW");
}

}  // namespace ashlar
