// Tests of child programs: what they print, how they end, and that they end together with this process.
#include "process/working_process.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "base/clock.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

constexpr double kLong = 20;

std::unique_ptr<WorkingProcess> shell(const TemporaryDirectory& directory, const std::string& script,
                                      WorkingProcess::Words said = WorkingProcess::Words::kLogged) {
  return WorkingProcess::start({"/bin/sh", "-c", script}, directory.path(), said).take();
}

TEST(WorkingProcess, SaysHowItEnded) {
  const TemporaryDirectory directory;
  const auto good = shell(directory, "pwd > here; exit 0");
  ASSERT_TRUE(good->wait(kLong));
  EXPECT_TRUE(good->outcome().ok());
  EXPECT_EQ(good->exit_status(), 0);
  std::string here;
  std::getline(std::ifstream(directory / "here"), here);
  EXPECT_EQ(std::filesystem::canonical(here), std::filesystem::canonical(directory.path()));
  const auto bad = shell(directory, "exit 63");
  ASSERT_TRUE(bad->wait(kLong));
  EXPECT_EQ(bad->exit_status(), 63);
  EXPECT_EQ(bad->outcome().error().text(), "sh failed and printed nothing");
}

TEST(WorkingProcess, TheFirstLineThatIsNoWarningCounts) {
  const TemporaryDirectory directory;
  const auto process = shell(directory, "echo 'sh: warning: odd'; echo broken >&2; echo 'and so on'; exit 1");
  ASSERT_TRUE(process->wait(kLong));
  EXPECT_EQ(process->outcome().error().text(), "broken");
}

TEST(WorkingProcess, WordsThatAreDropped) {
  const TemporaryDirectory directory;
  const auto process = shell(directory, "yes | head -c 10000000", WorkingProcess::Words::kDropped);
  ASSERT_TRUE(process->wait(kLong));
  EXPECT_EQ(process->said(), "");
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(WorkingProcess, OneThatIsKilled) {
  const TemporaryDirectory directory;
  const auto process = shell(directory, "kill -9 $$");
  ASSERT_TRUE(process->wait(kLong));
  EXPECT_EQ(process->exit_status(), std::nullopt);
  EXPECT_EQ(process->outcome().error().text(), "sh was ended by signal 9");
}

// A program that ignores SIGCHLD hands that on to its children; the kernel then keeps no exit status.
TEST(WorkingProcess, OneWhoseEndIsNotKnownHasNotDoneWell) {
  const TemporaryDirectory directory;
  const auto before = std::signal(SIGCHLD, SIG_IGN);
  for (const char* script : {"exit 1", "exit 0"}) {
    const auto process = shell(directory, script);
    ASSERT_TRUE(process->wait(kLong));
    EXPECT_EQ(process->exit_status(), std::nullopt);
    ASSERT_FALSE(process->outcome().ok()) << script;
    EXPECT_EQ(process->outcome().error().text(), "it is unknown how sh ended");
  }
  (void)std::signal(SIGCHLD, before);
}

TEST(WorkingProcess, IsEndedAndReapedWithItsObject) {
  const TemporaryDirectory directory;
  auto process = shell(directory, "echo $$ > pid; exec sleep 1000");
  EXPECT_FALSE(process->wait(0.2));
  pid_t pid = 0;
  ASSERT_TRUE(std::ifstream(directory / "pid") >> pid);
  process.reset();
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

// A forked child stands for this process, and is killed.
TEST(WorkingProcess, EndsWhenWeAreKilled) {
  const TemporaryDirectory directory;
  const pid_t we = ::fork();
  if (we == 0) {
    const auto process = shell(directory, "echo $$ > pid.new; mv pid.new pid; exec sleep 1000");
    (void)process->wait(1000);
    ::_exit(0);
  }
  pid_t pid = 0;
  const double deadline = monotonic_seconds() + kLong;
  while (!(std::ifstream(directory / "pid") >> pid)) {
    ASSERT_LT(monotonic_seconds(), deadline);
    ::usleep(1000);
  }
  ::kill(we, SIGKILL);
  ::waitpid(we, nullptr, 0);
  const auto is_gone = [pid] {
    std::string name;
    char state = 'X';
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    return !(stat >> name >> name >> state) || state == 'Z';
  };
  while (!is_gone()) {
    ASSERT_LT(monotonic_seconds(), deadline);
    ::usleep(1000);
  }
}

}  // namespace
}  // namespace ashlar
