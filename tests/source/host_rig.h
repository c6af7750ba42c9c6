// Parts of a host that tests set up and take down again, also when they fail: loop devices, mounts, NBD
// servers.
#pragma once

#include <csignal>
#include <thread>

#include "source_rig.h"

namespace ashlar {

// A loop device over a file. path() is empty where the host allows none.
class LoopDevice {
 public:
  explicit LoopDevice(const std::string& file, const std::string& options = {}) {
    if (is_root()) path_ = shell_output("losetup -f --show " + options + " '" + file + "' 2>/dev/null");
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;
  ~LoopDevice() { EXPECT_TRUE(path_.empty() || shell("losetup -d " + path_)); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

#define NEEDS_LOOP(device) \
  if ((device).path().empty()) GTEST_SKIP() << "needs root and loop devices"

class Mount {
 public:
  Mount(const std::string& source, std::string target, const std::string& options = "defaults")
      : target_(std::move(target)) {
    std::filesystem::create_directories(target_);
    mounted_ = shell("mount -o " + options + " '" + source + "' '" + target_ + "' 2>/dev/null");
  }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;
  ~Mount() {
    if (!mounted_) return;
    // A guardian that has just thawed the file system may not have ended yet, so the unmount is repeated.
    shell("fsfreeze -u '" + target_ + "' 2>/dev/null");
    EXPECT_TRUE(shell("for i in 1 2 3 4 5 6 7 8; do umount '" + target_ +
                      "' 2>/dev/null && exit; sleep 0.2; done; "
                      "umount '" +
                      target_ + "'"));
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return target_; }

 private:
  std::string target_;
  bool mounted_ = false;
};

// A program that runs until its object is destroyed. It is ready when a file (its socket) exists.
class Daemon {
 public:
  Daemon(const std::string& command, const std::string& ready_file) : pid_(::fork()) {
    if (pid_ == 0) {
      ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 500 && !std::filesystem::exists(ready_file); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    EXPECT_TRUE(std::filesystem::exists(ready_file)) << command;
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon() { stop(SIGTERM); }
  void stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

inline bool has_program(const std::string& name) { return shell("command -v " + name + " >/dev/null 2>&1"); }

}  // namespace ashlar
