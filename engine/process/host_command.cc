#include "process/host_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/unique_fd.h"
#include "io/descriptor.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxOutputBytes = std::size_t{16} << 20U;

// Starts the program with both outputs in the pipe, because its message of failure is part of the answer.
Result<pid_t> spawn(const std::vector<std::string>& words, int out) {
  std::vector<char*> raw;
  raw.reserve(words.size() + 1);
  for (const std::string& word : words) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, raw[0], &actions, &attributes, raw.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return Error::from_errno(failed, words[0]);
  return pid;
}

}  // namespace

Result<std::string> run_command(const std::vector<std::string>& words) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return last_errno("pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t pid = TRY(spawn(words, write_end.get()));
  write_end.reset();
  auto output = read_all(read_end.get(), kMaxOutputBytes, words[0]);
  read_end.reset();  // a program that still prints ends
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return last_errno(words[0]);
  }
  std::string text = TRY(std::move(output));
  text.erase(text.find_last_not_of('\n') + 1);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return text;
  const std::string line = text.substr(text.rfind('\n') + 1);
  return Error(ErrorCode::kIo,
               fmt::format("{} failed: {}", words[0], line.empty() ? "it printed nothing" : line));
}

std::string shell_quoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace ashlar
