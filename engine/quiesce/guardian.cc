#include "quiesce/guardian.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>

namespace ashlar {
namespace {

// Above the numbers to which the child moves its four descriptors.
constexpr int kLowestFd = 10;
constexpr int kLookMilliseconds = 1000;

Result<UniqueFd> above_standard(int fd) {
  UniqueFd moved(::fcntl(fd, F_DUPFD_CLOEXEC, kLowestFd));
  if (!moved.valid()) return last_errno("duplicating a descriptor");
  return moved;
}

std::optional<int> read_answer(int channel) {
  int answer = 0;
  ssize_t got = 0;
  do {
    got = ::recv(channel, &answer, sizeof answer, 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof answer) return std::nullopt;
  return answer;
}

struct ChildEnds {
  UniqueFd channel;
  UniqueFd mount;
  UniqueFd parent;  // a pidfd of the parent
  UniqueFd stat;    // /proc/PID/stat of the parent
};

// Returns whether the parent's main thread has ended. The line is "4711 (a name) Z 1 ..." (proc_pid_stat(5)).
// The name may contain any characters, brackets included, but no bracket follows it.
bool has_ended(int stat) {
  std::array<char, 128> text{};
  const ssize_t got = ::pread(stat, text.data(), text.size(), 0);
  if (got < 0) return errno == ESRCH;
  for (ssize_t i = got - 3; i > 0; --i) {
    const char* at = text.data() + i;
    if (at[0] == ')' && at[1] == ' ') return at[2] == 'Z' || at[2] == 'X';
  }
  return false;
}

// Waits for the thaw byte or for the parent's end. The channel alone would not show that end: another child
// that the parent forked since then holds the channel open too, and it may hang in the very file system that
// waits for the thaw.
void wait_for_end(int channel, int parent, int stat) {
  std::array<pollfd, 2> polled = {pollfd{channel, POLLIN, 0}, pollfd{parent, POLLIN, 0}};
  for (;;) {
    const int ready = ::poll(polled.data(), polled.size(), kLookMilliseconds);
    if (ready > 0 || (ready == 0 && has_ended(stat)) || (ready < 0 && errno != EINTR)) return;
  }
}

// Runs the child. It makes async-signal-safe calls only: other threads of the parent may have held any lock
// at the fork.
[[noreturn]] void guard(const ChildEnds& ends) {
  ::setsid();
  ::dup2(ends.channel.get(), 0);
  ::dup2(ends.mount.get(), 1);
  ::dup2(ends.parent.get(), 2);
  ::dup2(ends.stat.get(), 3);
  ::close_range(4, ~0U, 0);
  int answer = ::ioctl(1, FIFREEZE, 0) == 0 ? 0 : errno;
  const bool frozen = answer == 0;
  ::send(0, &answer, sizeof answer, MSG_NOSIGNAL);
  if (!frozen) ::_exit(1);
  wait_for_end(0, 2, 3);
  // The byte must be read: closing the socket with unread data would reset it, and the answer would be lost.
  char word = 0;
  ::recv(0, &word, sizeof word, MSG_DONTWAIT);
  answer = ::ioctl(1, FITHAW, 0) == 0 ? 0 : errno;
  ::send(0, &answer, sizeof answer, MSG_NOSIGNAL);
  ::_exit(0);
}

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Forks with every signal blocked; the child keeps them blocked.
pid_t fork_blocked() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = ::fork();
  const int fork_errno = errno;
  if (pid != 0) pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = fork_errno;
  return pid;
}

}  // namespace

Result<Guardian> Guardian::freeze(const UniqueFd& mount) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return last_errno("socketpair");
  Guardian guardian;
  guardian.channel_.reset(pair[0]);
  UniqueFd theirs(pair[1]);
  const UniqueFd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  if (!self.valid()) return last_errno("pidfd_open");
  const UniqueFd stat(::open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
  if (!stat.valid()) return last_errno("/proc/self/stat");
  ChildEnds ends{TRY(above_standard(theirs.get())), TRY(above_standard(mount.get())),
                 TRY(above_standard(self.get())), TRY(above_standard(stat.get()))};
  guardian.pid_ = fork_blocked();
  if (guardian.pid_ == 0) guard(ends);
  if (guardian.pid_ < 0) return last_errno("starting the guardian process");

  // Once the parent's copies of the child's end are closed, the channel ends when the child does.
  theirs.reset();
  ends.channel.reset();
  const std::optional<int> answer = read_answer(guardian.channel_.get());
  if (answer == 0) return guardian;
  reap(guardian.pid_);
  if (answer) return Error::from_errno(*answer, "FIFREEZE");
  ::ioctl(mount.get(), FITHAW, 0);
  return Error(ErrorCode::kIo, "the guardian process was killed while it froze the file system");
}

Status Guardian::thaw(const UniqueFd& mount) {
  const char word = 't';
  ::send(channel_.get(), &word, 1, MSG_NOSIGNAL);
  const std::optional<int> answer = read_answer(channel_.get());
  reap(pid_);
  if (answer == 0) return {};
  if (answer == EINVAL)
    return Error(ErrorCode::kIo, "another program thawed it before the capture was complete");
  if (::ioctl(mount.get(), FITHAW, 0) == 0) return {};
  return last_errno("FITHAW");
}

}  // namespace ashlar
