// Tests of the directories of machines: a record is whole or absent wherever a write is cut off, and the
// reported states are true.
#include "machine/instances.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "process/background_process.h"
#include "simulated/simulated_file_system.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

InstanceRecord record_of(std::uint64_t id) {
  InstanceRecord record;
  record.id = InstanceId{id};
  record.snapshot = SnapshotId{2};
  record.devices = {{"/dev/sda", VolumeId{id + 1}, true, {}}};
  return record;
}

struct Host {
  TemporaryDirectory store;
  Instances instances{posix_file_system(), store.path()};
};

TEST(Instances, AreMadeListedReadAndRemoved) {
  Host host;
  EXPECT_TRUE(host.instances.list().take().empty());
  for (const std::uint64_t id : {5, 3}) {
    host.instances.make(InstanceId{id}).take();
    host.instances.save(record_of(id)).take();
  }
  EXPECT_EQ(host.instances.list().take(), (std::vector<InstanceId>{InstanceId{3}, InstanceId{5}}));
  EXPECT_EQ(host.instances.load(InstanceId{3}).take(), record_of(3));
  EXPECT_EQ(host.instances.owner_of(VolumeId{6}).take()->id, InstanceId{5});
  EXPECT_FALSE(host.instances.owner_of(VolumeId{9}).take());
  struct stat about {};
  ASSERT_EQ(::stat(host.instances.directory(InstanceId{3}).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777U, 0700U);

  host.instances.remove(InstanceId{3}).take();
  EXPECT_EQ(host.instances.list().take(), std::vector<InstanceId>{InstanceId{5}});
  EXPECT_EQ(host.instances.load(InstanceId{3}).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(host.instances.lock(InstanceId{3}).error().code(), ErrorCode::kNotFound);
}

TEST(Instances, ADamagedRecordIsNamed) {
  Host host;
  host.instances.make(InstanceId{3}).take();
  host.instances.save(record_of(3)).take();
  const std::string path = host.instances.directory(InstanceId{3}) + "/instance.json";
  std::ofstream(path, std::ios::app) << "x";
  const auto damaged = host.instances.load(InstanceId{3});
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(damaged.error().text().find(path), std::string::npos) << damaged.error().text();

  std::ofstream(path, std::ios::trunc) << encode(record_of(4));
  EXPECT_NE(host.instances.load(InstanceId{3}).error().text().find(InstanceId{4}.text()), std::string::npos);
}

TEST(Instances, ADamagedRecordMayNameAnyVolume) {
  Host host;
  for (const std::uint64_t id : {3, 5}) {
    host.instances.make(InstanceId{id}).take();
    host.instances.save(record_of(id)).take();
  }
  host.instances.make(InstanceId{7}).take();
  EXPECT_FALSE(host.instances.owner_of(VolumeId{9}).take()) << "a machine without a record owns nothing";
  const std::string path = host.instances.directory(InstanceId{3}) + "/instance.json";
  std::ofstream(path, std::ios::app) << "x";
  const auto unknown = host.instances.owner_of(VolumeId{9});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(unknown.error().text().find(path), std::string::npos) << unknown.error().text();
  EXPECT_EQ(host.instances.owner_of(VolumeId{6}).take()->id, InstanceId{5}) << "another record answers";
}

TEST(Instances, TheRecordStaysUntilAllElseIsGone) {
  Host host;
  const InstanceId id{3};
  host.instances.make(id).take();
  host.instances.save(record_of(3)).take();
  const std::string core = host.instances.directory(id) + "/core";
  std::ofstream(core) << "dumped";
  for (int tries = 0; tries < 2; ++tries) {
    const Status refused = host.instances.remove(id);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().text().find(core), std::string::npos) << refused.error().text();
    EXPECT_EQ(host.instances.load(id).take(), record_of(3));
  }
  ASSERT_EQ(::unlink(core.c_str()), 0);
  host.instances.remove(id).take();
  EXPECT_TRUE(host.instances.list().take().empty());
}

TEST(Instances, AMachineIsPendingWhileTheProcessThatLaunchesItLives) {
  Host host;
  InstanceRecord record = record_of(3);
  record.wish = InstanceWish::kTerminated;
  host.instances.make(record.id).take();
  EXPECT_FALSE(host.instances.is_launch_unfinished(record.id).take());
  host.instances.begin_launch(record.id).take();
  EXPECT_TRUE(host.instances.is_launch_unfinished(record.id).take());
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kPending);

  const std::string boot(32, '0');
  std::ofstream(host.instances.directory(record.id) + "/launching") << boot << " 1 1\n";
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kShuttingDown) << "it was cut off";
  EXPECT_TRUE(host.instances.is_launch_unfinished(record.id).take());
  host.instances.end_launch(record.id).take();
  host.instances.end_launch(record.id).take();
  EXPECT_FALSE(host.instances.is_launch_unfinished(record.id).take());
}

TEST(Instances, OneChangesAMachineAtATime) {
  Host host;
  host.instances.make(InstanceId{3}).take();
  auto held = host.instances.lock(InstanceId{3}).take();
  EXPECT_EQ(host.instances.lock(InstanceId{3}).error().code(), ErrorCode::kBusy);
  held.reset();
  EXPECT_TRUE(host.instances.lock(InstanceId{3}).ok());
}

// Saves a record, and then a second one over it. Returns whether all calls succeeded.
bool save_two(SimulatedFileSystem& files) {
  const std::string directory = "/s/instances/" + InstanceId{3}.text();
  for (const char* path : {"/s", "/s/instances", directory.c_str()}) {
    if (!files.make_directory(path).ok()) return false;
  }
  for (const char* path : {"/", "/s", "/s/instances"}) {
    if (!files.sync_directory(path).ok()) return false;
  }
  Instances instances(files, "/s/instances");
  InstanceRecord record = record_of(3);
  if (!instances.save(record).ok()) return false;
  record.wish = InstanceWish::kStopped;
  return instances.save(record).ok();
}

TEST(Instances, APowerCutAtAnyMomentLeavesOneOfBothRecordsWhole) {
  SimulatedFileSystem counted;
  ASSERT_TRUE(save_two(counted));
  const std::uint64_t total = counted.operations();
  for (std::uint64_t at = 0; at <= total; ++at) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SimulatedFileSystem files;
      files.stop_at(at);
      const bool both = save_two(files);
      files.crash(seed);
      const auto found = Instances(files, "/s/instances").load(InstanceId{3});
      if (both) {
        ASSERT_TRUE(found.ok()) << found.error().text();
        EXPECT_EQ(found.value().wish, InstanceWish::kStopped);
      } else if (!found.ok()) {
        EXPECT_EQ(found.error().code(), ErrorCode::kNotFound) << at << " " << seed << found.error().text();
      }
    }
  }
}

TEST(Instances, StatesFollowTheWishAndTheProcess) {
  Host host;
  InstanceRecord record = record_of(3);
  host.instances.make(record.id).take();
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kStopped) << "never started";
  record.process = process_of(static_cast<std::uint32_t>(::getpid())).take();
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kPending);
  std::ofstream(host.instances.directory(record.id) + "/qmp.sock") << "";
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kRunning);
  record.wish = InstanceWish::kStopped;
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kStopping);
  record.process->pid_started += 1;
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kStopped) << "the pid is somebody else's";
  record.process->pid_started -= 1;
  record.process->boot[0] ^= std::byte{1};
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kStopped) << "the host was started again";
  record.wish = InstanceWish::kTerminated;
  EXPECT_EQ(host.instances.state_of(record).take(), InstanceState::kShuttingDown);
}

TEST(BackgroundProcess, RunsOnlyOnceItIsLetGo) {
  const TemporaryDirectory folder;
  const BackgroundCommand command = {
      {"/bin/sh", "-c", "echo said; echo here >made; exec sleep 60"}, folder.path(), folder / "log"};
  ProcessIdentity process;
  {
    const WaitingChild dropped = WaitingChild::fork(command).take();
    process = dropped.process();
    EXPECT_TRUE(is_running(process).take());
  }
  EXPECT_TRUE([&] {
    const auto waiting = RunningProcess::find(process);
    return !waiting.ok() || waiting.value().wait(20);
  }()) << "nobody let it go";
  EXPECT_NE(::access((folder / "made").c_str(), F_OK), 0);

  WaitingChild child = WaitingChild::fork(command).take();
  child.let_go().take();
  const RunningProcess running = RunningProcess::find(child.process()).take();
  for (int tries = 0; tries < 1000 && last_line(folder / "log", 0).empty(); ++tries)
    EXPECT_FALSE(running.wait(0.01));
  EXPECT_EQ(last_line(folder / "log", 0), "said");
  EXPECT_EQ(last_line(folder / "log", 5), "") << "nothing behind what was there before";
  running.signal(SIGKILL).take();
  EXPECT_TRUE(running.wait(20));
  EXPECT_FALSE(is_running(child.process()).take()) << "also while nobody asks for its exit status";
}

TEST(BackgroundProcess, AProgramThatIsNotThereSaysWhatToInstall) {
  const auto missing = find_program("no-such-program", "some-package");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().text().find("some-package"), std::string::npos);
  EXPECT_TRUE(find_program("sh", "dash").ok());
}

}  // namespace
}  // namespace ashlar
