// Tests of the monitor of a real QEMU that is queried, stopped, quit, or gone.
#include "machine/qmp.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "machine/accelerator.h"
#include "process/background_process.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

constexpr double kSeconds = 20;

class RealQemu : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto program = find_program("qemu-system-x86_64", "qemu-system-x86");
    if (!program.ok()) GTEST_SKIP() << program.error().text();
    WaitingChild child =
        WaitingChild::fork({{program.value(), "-machine", "none", "-accel", "tcg", "-nodefaults", "-display",
                             "none", "-chardev", "socket,id=qmp,path=qmp.sock,server=on,wait=off", "-mon",
                             "chardev=qmp,mode=control"},
                            folder_.path(),
                            folder_ / "log"})
            .take();
    process_ = child.process();
    child.let_go().take();
  }
  void TearDown() override {
    const auto running = RunningProcess::find(process_);
    if (running.ok()) running.value().signal(SIGKILL).take();
  }
  std::unique_ptr<Qmp> connect() {
    for (int tries = 0; tries < 1000; ++tries) {
      auto qmp = Qmp::connect(folder_.path(), kSeconds);
      if (qmp.ok()) return qmp.take();
      EXPECT_EQ(qmp.error().code(), ErrorCode::kNotFound) << qmp.error().text();
      ::usleep(10000);
    }
    ADD_FAILURE() << last_line(folder_ / "log", 0);
    return nullptr;
  }

  TemporaryDirectory folder_;
  ProcessIdentity process_;
};

TEST_F(RealQemu, IsAskedStoppedResumedAndEnded) {
  auto qmp = connect();
  ASSERT_TRUE(qmp);
  EXPECT_EQ(qmp->status(kSeconds).take(), "running");
  qmp->stop(kSeconds).take();
  EXPECT_EQ(qmp->status(kSeconds).take(), "paused");
  qmp->resume(kSeconds).take();
  EXPECT_EQ(qmp->status(kSeconds).take(), "running") << "events in between are passed over";
  const Status refused = qmp->command("no-such-command", kSeconds);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find("no-such-command"), std::string::npos) << refused.error().text();
  qmp.reset();
  connect()->quit(kSeconds).take();
  const auto running = RunningProcess::find(process_);
  EXPECT_TRUE(!running.ok() || running.value().wait(kSeconds));
  EXPECT_EQ(Qmp::connect(folder_.path(), kSeconds).error().code(), ErrorCode::kNotFound);
}

TEST_F(RealQemu, ASecondClientWaitsNoLongerThanItMay) {
  const auto first = connect();
  ASSERT_TRUE(first);
  const double began = monotonic_seconds();
  EXPECT_EQ(Qmp::connect(folder_.path(), 0.3).error().code(), ErrorCode::kBusy);
  EXPECT_LT(monotonic_seconds() - began, 5);
}

TEST(Qmp, WhateverListensThereIsNotBelieved) {
  const TemporaryDirectory folder;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = folder / "qmp.sock";
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  for (const char* said : {"\n", "7\n", "[[[[\n", "{\"hello\":1}\n", "{\"QMP\":1}\n{\"error\":7}\n", ""}) {
    std::jthread peer([&] {
      const UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      (void)!::send(client.get(), said, std::strlen(said), MSG_NOSIGNAL);
      ::shutdown(client.get(), SHUT_WR);
      char rest = 0;
      while (::recv(client.get(), &rest, 1, 0) > 0) {
      }
    });
    const auto qmp = Qmp::connect(folder.path(), 5);
    ASSERT_FALSE(qmp.ok()) << said;
    EXPECT_EQ(qmp.error().code(), ErrorCode::kIo) << said << qmp.error().text();
  }
}

TEST(Accelerator, AutoIsWhatTheHostCanUnlessSomebodySays) {
  EXPECT_EQ(choose_accelerator("tcg", "kvm").take(), Accelerator::kTcg);
  EXPECT_EQ(choose_accelerator("auto", "tcg").take(), Accelerator::kTcg);
  EXPECT_EQ(choose_accelerator("auto", "").take(), probe_kvm().ok() ? Accelerator::kKvm : Accelerator::kTcg);
  EXPECT_EQ(choose_accelerator("auto", "fast").error().code(), ErrorCode::kInvalid);
  EXPECT_FALSE(probe_kvm("/dev/null").ok());
  EXPECT_EQ(probe_kvm("/no/such/device").error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ashlar
