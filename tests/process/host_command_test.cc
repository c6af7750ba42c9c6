// Shows what a command prints, how its failure is told, and that no word is taken for another.
#include "process/host_command.h"

#include <gmock/gmock.h>
#include <signal.h>

namespace ashlar {
namespace {

Result<std::string> shell(const std::string& script) { return run_command({"/bin/sh", "-c", script}); }

TEST(HostCommand, ReturnsWhatWasPrintedWithoutTheLastNewlines) {
  EXPECT_EQ(shell("echo out; echo err >&2; echo; echo").take(), "out\nerr");
  EXPECT_EQ(shell("true").take(), "");
  EXPECT_EQ(shell("cat").take(), "") << "standard input is empty";
}

TEST(HostCommand, AFailureIsToldByItsLastLine) {
  const auto failed = shell("echo first; echo last >&2; exit 3");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kIo);
  EXPECT_EQ(failed.error().text(), "/bin/sh failed: last");
  EXPECT_EQ(shell("exit 1").error().text(), "/bin/sh failed: it printed nothing");
  EXPECT_FALSE(shell("kill -9 $$").ok());
  EXPECT_EQ(run_command({"/no/such/program"}).error().code(), ErrorCode::kNotFound);
}

TEST(HostCommand, OutputLargerThanAPipeIsWhole) {
  EXPECT_EQ(shell("head -c 1000000 /dev/zero | tr '\\0' x").take(), std::string(1000000, 'x'));
}

TEST(HostCommand, EndlessOutputIsRefused) {
  const auto refused = shell("exec cat /dev/zero");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kInvalid);
}

TEST(HostCommand, QuotedWordsStayOneWord) {
  for (const std::string word : {"plain", "two words", "it's", "$HOME `id` \"x\" \\ *", ""})
    EXPECT_EQ(shell("printf '%s|' " + shell_quoted(word)).take(), word + "|");
}

}  // namespace
}  // namespace ashlar
