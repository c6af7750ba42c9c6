// Tests of one index and several processes: each adds to it while the others have it open, and a killed
// process costs nothing.
//
// The other process is this program, started again with its role and the directory in its environment.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "index/index.h"
#include "index/index_world.h"

namespace ashlar {
namespace {

pid_t start(const std::string& role, const std::string& directory) {
  const std::string role_variable = "ASHLAR_INDEX_ROLE=" + role;
  const std::string directory_variable = "ASHLAR_INDEX_DIR=" + directory;
  std::vector<std::string> arguments = {"index_tests", "--gtest_filter=IndexOtherProcess.*",
                                        "--gtest_also_run_disabled_tests"};
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::vector<char*> environment = {const_cast<char*>(role_variable.c_str()),
                                    const_cast<char*>(directory_variable.c_str()), nullptr};
  pid_t pid = 0;
  EXPECT_EQ(::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, argv.data(), environment.data()), 0);
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

TEST(IndexProcessTest, TwoProcessesAddToOneIndex) {
  const TempDir dir;
  World world(dir / "store", 30);
  world.publish_some(8);
  const auto index = must(Index::open(dir / "index", world.objects()));
  must(index->catch_up());
  const int status = wait_for(start("second", dir.path()));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;

  World all(dir / "store", 31);
  all.attach();
  EXPECT_GT(all.packs().size(), world.packs().size());
  EXPECT_EQ(packs_on_disk(dir / "index"), all.packs().size()) << "the second process wrote its packs";
  EXPECT_EQ(must(index->catch_up()).packs_added, 0U) << "no pack is read again";
  EXPECT_EQ(all.ask(*index), all.expected());
}

// The lock file is free whenever no batch is written.
TEST(IndexProcessTest, AnOpenIndexHoldsNoLock) {
  const TempDir dir;
  World world(dir / "store", 32);
  world.publish_some(4);
  const auto first = must(Index::open(dir / "index", world.objects()));
  const auto second = must(Index::open(dir / "index", world.objects()));
  for (int round = 0; round < 3; ++round) {
    for (auto* index : {first.get(), second.get()}) {
      world.publish_some(1);
      must(index->catch_up());
      EXPECT_TRUE(must(index->stats()).writable);
      EXPECT_EQ(packs_on_disk(dir / "index"), world.packs().size());
      EXPECT_EQ(world.ask(*index), world.expected());
      must(posix_file_system().lock(dir / "index/ashlar.lock"));
    }
  }
  must(first->rebuild());
  must(second->rebuild());
  EXPECT_EQ(world.ask(*second), world.expected());
  const PackId gone = world.any_pack();
  must(first->forget_pack(gone));
  world.remove(gone);
  must(first->flush());
  must(second->catch_up());
  EXPECT_EQ(world.ask(*first), world.expected());
  EXPECT_EQ(world.ask(*second), world.expected());
}

TEST(IndexProcessTest, ABatchWaitsForTheBatchOfAnother) {
  const TempDir dir;
  World world(dir / "store", 35);
  world.publish_some(4);
  const auto index = must(Index::open(dir / "index", world.objects()));
  must(index->catch_up());
  auto lock = must(posix_file_system().lock(dir / "index/ashlar.lock"));
  world.tell(*index, world.publish_data(3));
  EXPECT_EQ(world.ask(*index), world.expected()) << "look-ups do not wait";
  std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    lock.reset();
  });
  must(index->flush());
  EXPECT_EQ(packs_on_disk(dir / "index"), world.packs().size());
}

TEST(IndexProcessTest, RowsThatWereNotWrittenAreFoundByTheNext) {
  const TempDir dir;
  World world(dir / "store", 36);
  world.publish_some(4);
  {
    const auto index = must(Index::open(dir / "index", world.objects()));
    must(index->catch_up());
    world.tell(*index, world.publish_data(3));
    const auto lock = must(posix_file_system().lock(dir / "index/ashlar.lock"));
    const auto closed = std::chrono::steady_clock::now();
    must(Index::open(dir / "index", world.objects())).reset();
    EXPECT_LT(std::chrono::steady_clock::now() - closed, std::chrono::seconds(10));
  }
  World all(dir / "store", 37);
  all.attach();
  const auto next = must(Index::open(dir / "index", all.objects()));
  must(next->catch_up());
  EXPECT_EQ(all.ask(*next), all.expected());
}

TEST(IndexProcessTest, NothingIsWrittenWhenNothingIsNew) {
  const TempDir dir;
  World world(dir / "store", 38);
  world.publish_some(4);
  must(must(Index::open(dir / "index", world.objects()))->catch_up());
  const IndexDirectory directory(dir / "index", index_format(kDefaultHookRate));
  const std::string stamp = directory.stamp();
  {
    const auto index = must(Index::open(dir / "index", world.objects()));
    must(index->catch_up());
    must(index->flush());
    EXPECT_EQ(world.ask(*index), world.expected());
  }
  EXPECT_EQ(directory.stamp(), stamp);
  world.publish_some(1);
  must(must(Index::open(dir / "index", world.objects()))->catch_up());
  EXPECT_NE(directory.stamp(), stamp);
}

TEST(IndexProcessTest, AReaderGoesOnWhileTheWriterRebuildsUnderIt) {
  const TempDir dir;
  World world(dir / "store", 33);
  world.publish_some(6);
  const auto writer = must(Index::open(dir / "index", world.objects()));
  must(writer->catch_up());
  must(writer->flush());
  const auto reader = must(Index::open(dir / "index", world.objects()));
  must(reader->catch_up());
  for (int round = 0; round < 5; ++round) {
    must(writer->rebuild());
    EXPECT_EQ(world.ask(*reader), world.expected());
    world.publish_some(1);
    must(writer->catch_up());
    must(writer->flush());
    must(reader->catch_up());
    EXPECT_EQ(world.ask(*reader), world.expected());
  }
}

TEST(IndexProcessTest, AKilledWriterLeavesAnIndexThatCatchesUp) {
  const std::uint64_t seed = random_u64();
  Prng prng(seed);
  const TempDir dir;
  std::filesystem::create_directories(dir / "store");
  for (int round = 0; round < 8; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " round " << round);
    const pid_t pid = start("writer", dir.path());
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + prng.below(150)));
    ::kill(pid, SIGKILL);
    const int status = wait_for(pid);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    World world(dir / "store", seed);
    world.attach();
    const auto index = must(Index::open(dir / "index", world.objects()));
    EXPECT_TRUE(must(index->stats()).writable);
    must(index->catch_up());
    EXPECT_EQ(world.ask(*index), world.expected());
  }
}

void be_second(const std::string& directory) {
  World world(directory + "/store", 34);
  world.attach();
  const auto index = must(Index::open(directory + "/index", world.objects()));
  EXPECT_EQ(world.ask(*index), world.expected());
  world.publish_some(3);
  EXPECT_EQ(must(index->catch_up()).packs_added, 3U);
  world.tell(*index, world.publish_data(3));
  EXPECT_EQ(world.ask(*index), world.expected());
  must(index->flush());
}

void be_writer(const std::string& directory) {
  World world(directory + "/store", random_u64());
  world.attach();
  const auto index = must(Index::open(directory + "/index", world.objects()));
  must(index->catch_up());
  for (;;) {
    world.publish_some(1);
    must(index->catch_up());
    if (world.prng().below(3) == 0) must(index->flush());
    if (world.prng().below(4) == 0) {
      const PackId gone = world.any_pack();
      must(index->forget_pack(gone));
      world.remove(gone);
    }
  }
}

TEST(IndexOtherProcess, DISABLED_PlaysItsRole) {
  const char* role = std::getenv("ASHLAR_INDEX_ROLE");      // NOLINT(concurrency-mt-unsafe)
  const char* directory = std::getenv("ASHLAR_INDEX_DIR");  // NOLINT(concurrency-mt-unsafe)
  ASSERT_TRUE(role != nullptr && directory != nullptr) << "started by the tests above only";
  if (std::string_view(role) == "second") be_second(directory);
  if (std::string_view(role) == "writer") be_writer(directory);
}

}  // namespace
}  // namespace ashlar
