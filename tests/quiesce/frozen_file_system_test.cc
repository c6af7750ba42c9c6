#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <chrono>
#include <csignal>

#include "base/unique_fd.h"
#include "quiesce/mounts.h"
#include "source/host_rig.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr int kLetItHang = 300;
constexpr int kPatience = 5000;

// A process of its own that writes into the mount; it hangs while the file system is frozen.
class Writer {
 public:
  explicit Writer(const std::string& path) : pid_(::fork()) {
    if (pid_ == 0) {
      const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      ::_exit(fd >= 0 && ::write(fd, "x", 1) == 1 ? 0 : 1);
    }
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    // A process that hangs in a frozen file system cannot be killed; it ends when the file system is thawed
    // with the mount.
    if (!done_) ::waitpid(pid_, nullptr, WNOHANG);
  }
  // Returns whether the process has written within the time.
  bool written_within(int timeout_ms) {
    int status = 1;
    for (int waited = 0; waited < timeout_ms; waited += 20) {
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        done_ = true;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

 private:
  pid_t pid_;
  bool done_ = false;
};

class FrozenFileSystemTest : public testing::Test {
 protected:
  void SetUp() override {
    make_file(dir_ / "disk", 32 * kMiB);
    loop_.emplace(dir_ / "disk");
    NEEDS_LOOP(*loop_);
    ASSERT_TRUE(shell("mkfs.ext4 -q " + loop_->path()));
    mount_.emplace(loop_->path(), dir_ / "mnt");
    ASSERT_TRUE(mount_->mounted());
  }
  std::string mount() const { return mount_->path(); }

  // Freezes the file system in a process of its own, which then calls `end`. Returns its pid.
  template <class End>
  pid_t freeze_in_child(End end) {
    std::array<int, 2> ready{};
    EXPECT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
    const pid_t pid = ::fork();
    if (pid == 0) {
      Result<std::unique_ptr<FrozenFileSystem>> frozen = FrozenFileSystem::freeze(mount(), "/proc");
      const char byte = frozen.ok() ? 'y' : 'n';
      if (::write(ready[1], &byte, 1) == 1) end();
      ::_exit(0);
    }
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_EQ(byte, 'y');
    ::close(ready[0]);
    return pid;
  }

  const TempDir dir_;
  std::optional<LoopDevice> loop_;
  std::optional<Mount> mount_;
};

TEST_F(FrozenFileSystemTest, WritesWaitUntilTheThaw) {
  Result<std::unique_ptr<FrozenFileSystem>> frozen = FrozenFileSystem::freeze(mount(), dir_.path());
  ASSERT_TRUE(frozen.ok()) << frozen.error().text();
  Writer writer(mount() + "/file");
  EXPECT_FALSE(writer.written_within(kLetItHang));
  const Status thawed = frozen.value()->thaw();
  EXPECT_TRUE(thawed.ok()) << thawed.error().text();
  EXPECT_TRUE(writer.written_within(kPatience));
  EXPECT_TRUE(frozen.value()->thaw().ok()) << "a second thaw has nothing to do";
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST_F(FrozenFileSystemTest, DestructionThaws) {
  { ASSERT_TRUE(FrozenFileSystem::freeze(mount(), dir_.path()).ok()); }
  EXPECT_TRUE(Writer(mount() + "/file").written_within(kPatience));
}

TEST_F(FrozenFileSystemTest, SigkillOfTheHolderThaws) {
  const pid_t holder = freeze_in_child([] { ::pause(); });
  Writer writer(mount() + "/file");
  EXPECT_FALSE(writer.written_within(kLetItHang));
  ::kill(holder, SIGKILL);
  EXPECT_TRUE(writer.written_within(kPatience));
  ::waitpid(holder, nullptr, 0);
}

// A process with a thread that hangs there does not end before the thaw: its main thread is a zombie, and a
// pidfd does not report it.
TEST_F(FrozenFileSystemTest, SigkillThawsAlsoWhenAThreadOfTheHolderHangsThere) {
  const pid_t holder = freeze_in_child([&] {
    std::thread([&] { ::creat((mount() + "/of the holder").c_str(), 0600); }).detach();
    ::pause();
  });
  Writer writer(mount() + "/file");
  EXPECT_FALSE(writer.written_within(kLetItHang));
  ::kill(holder, SIGKILL);
  EXPECT_EQ(::waitpid(holder, nullptr, WNOHANG), 0) << "the thread does hang";
  EXPECT_TRUE(writer.written_within(kPatience));
  shell("fsfreeze -u " + mount() + " 2>/dev/null");  // without it a failure would hang for ever
  ::waitpid(holder, nullptr, 0);
}

// Ctrl-C reaches the whole process group; the guardian must survive it to thaw later, and must not thaw
// early.
TEST_F(FrozenFileSystemTest, SignalsDoNotReachTheGuardian) {
  const pid_t holder = freeze_in_child([] { ::pause(); });
  const std::string guardian = shell_output("pgrep -P " + std::to_string(holder));
  ASSERT_FALSE(guardian.empty());
  for (const char* signal : {"INT", "TERM", "HUP", "QUIT", "USR1", "PIPE", "ALRM"}) {
    EXPECT_TRUE(shell(std::string("kill -") + signal + " " + guardian));
  }
  EXPECT_EQ(shell_output("ls /proc/" + guardian + "/fd | wc -l"), "4")
      << "it keeps nothing else of its parent's";
  Writer writer(mount() + "/file");
  EXPECT_FALSE(writer.written_within(kLetItHang));
  ::kill(holder, SIGKILL);
  EXPECT_TRUE(writer.written_within(kPatience));
  ::waitpid(holder, nullptr, 0);
}

TEST_F(FrozenFileSystemTest, AKilledGuardianIsReplacedByItsParent) {
  Result<std::unique_ptr<FrozenFileSystem>> frozen = FrozenFileSystem::freeze(mount(), dir_.path());
  ASSERT_TRUE(frozen.ok());
  ASSERT_TRUE(shell("kill -KILL $(ps -o pid=,sid= --ppid " + std::to_string(::getpid()) +
                    " | awk '$1==$2{print $1}')"));
  EXPECT_TRUE(frozen.value()->thaw().ok());
  EXPECT_TRUE(Writer(mount() + "/file").written_within(kPatience));
}

TEST_F(FrozenFileSystemTest, SomebodyElsesFreezeStays) {
  ASSERT_TRUE(shell("fsfreeze -f " + mount()));
  Result<std::unique_ptr<FrozenFileSystem>> frozen = FrozenFileSystem::freeze(mount(), dir_.path());
  ASSERT_FALSE(frozen.ok());
  EXPECT_EQ(frozen.error().code(), ErrorCode::kBusy) << frozen.error().text();
  Writer writer(mount() + "/file");
  EXPECT_FALSE(writer.written_within(kLetItHang));
  EXPECT_TRUE(shell("fsfreeze -u " + mount()));
  EXPECT_TRUE(writer.written_within(kPatience));
}

TEST_F(FrozenFileSystemTest, AThawBySomebodyElseIsNoticed) {
  Result<std::unique_ptr<FrozenFileSystem>> frozen = FrozenFileSystem::freeze(mount(), dir_.path());
  ASSERT_TRUE(frozen.ok());
  ASSERT_TRUE(shell("fsfreeze -u " + mount()));
  EXPECT_FALSE(frozen.value()->thaw().ok()) << "what was captured may have changed meanwhile";
}

TEST_F(FrozenFileSystemTest, TheStoresFileSystemIsRefused) {
  std::filesystem::create_directories(mount() + "/store");
  EXPECT_EQ(FrozenFileSystem::freeze(mount(), mount() + "/store").error().code(), ErrorCode::kInvalid);
  EXPECT_TRUE(Writer(mount() + "/file").written_within(kPatience)) << "nothing was frozen";
}

TEST_F(FrozenFileSystemTest, AStoreOnALoopDeviceOverAFileThereIsRefused) {
  make_file(mount() + "/inner", 8 * kMiB);
  const LoopDevice inner(mount() + "/inner");
  NEEDS_LOOP(inner);
  ASSERT_TRUE(shell("mkfs.ext4 -q " + inner.path()));
  const Mount store(inner.path(), dir_ / "store");
  ASSERT_TRUE(store.mounted());
  EXPECT_EQ(FrozenFileSystem::freeze(mount(), store.path()).error().code(), ErrorCode::kInvalid);
}

TEST_F(FrozenFileSystemTest, AFileThereAsStandardInputOutputOrErrorIsRefused) {
  constexpr std::array<const char*, 3> kNames = {"standard input", "standard output", "standard error"};
  for (int fd = 0; fd < 3; ++fd) {
    const UniqueFd log(::open((mount() + "/log").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const UniqueFd saved(::dup(fd));
    ASSERT_EQ(::dup2(log.get(), fd), fd);
    Result<std::unique_ptr<FrozenFileSystem>> frozen = FrozenFileSystem::freeze(mount(), dir_.path());
    if (frozen.ok()) frozen.value()->thaw().take();
    ::dup2(saved.get(), fd);
    ASSERT_FALSE(frozen.ok()) << kNames[static_cast<std::size_t>(fd)];
    EXPECT_EQ(frozen.error().code(), ErrorCode::kInvalid);
    EXPECT_NE(frozen.error().text().find(kNames[static_cast<std::size_t>(fd)]), std::string::npos)
        << frozen.error().text();
  }
  EXPECT_TRUE(Writer(mount() + "/file").written_within(kPatience)) << "nothing was frozen";
}

TEST_F(FrozenFileSystemTest, APlainDirectoryIsRefused) {
  const TempDir plain;
  EXPECT_EQ(FrozenFileSystem::freeze(plain.path(), "/proc").error().code(), ErrorCode::kInvalid)
      << "or the machine's own file system would freeze";
}

}  // namespace
}  // namespace ashlar
