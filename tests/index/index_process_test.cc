// Tests of one index and two processes: the second reads while the first has it open, and a killed process
// costs nothing.
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

TEST(IndexProcessTest, ASecondProcessReadsAndKeepsItsOwnAdditionsInMemory) {
  const TempDir dir;
  World world(dir / "store", 30);
  world.publish_some(8);
  const auto index = must(Index::open(dir / "index", world.objects()));
  must(index->catch_up());
  must(index->flush());
  const int status = wait_for(start("reader", dir.path()));
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;

  World all(dir / "store", 31);
  all.attach();
  EXPECT_GT(all.packs().size(), world.packs().size());
  must(index->catch_up());
  EXPECT_EQ(all.ask(*index), all.expected());
}

TEST(IndexProcessTest, TheSecondProcessBecomesTheWriterWhenTheFirstHasGone) {
  const TempDir dir;
  World world(dir / "store", 32);
  world.publish_some(4);
  auto first = must(Index::open(dir / "index", world.objects()));
  must(first->catch_up());
  const auto second = must(Index::open(dir / "index", world.objects()));
  must(second->catch_up());
  EXPECT_FALSE(must(second->stats()).writable);
  EXPECT_EQ(second->rebuild().error().code(), ErrorCode::kBusy);
  const PackId gone = world.any_pack();
  must(second->forget_pack(gone));
  world.remove(gone);
  EXPECT_EQ(world.ask(*second), world.expected());

  first.reset();
  world.publish_some(2);
  must(second->catch_up());
  EXPECT_TRUE(must(second->stats()).writable);
  EXPECT_EQ(world.ask(*second), world.expected());
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
  EXPECT_FALSE(must(reader->stats()).writable);
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

void be_reader(const std::string& directory) {
  World world(directory + "/store", 34);
  world.attach();
  const auto index = must(Index::open(directory + "/index", world.objects()));
  EXPECT_FALSE(must(index->stats()).writable);
  EXPECT_EQ(world.ask(*index), world.expected());
  world.publish_some(3);
  EXPECT_EQ(must(index->catch_up()).packs_added, 3U);
  world.tell(*index, world.publish_data(3));
  EXPECT_EQ(world.ask(*index), world.expected());
  must(index->flush());
  EXPECT_FALSE(must(index->stats()).writable);
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
  if (std::string_view(role) == "reader") be_reader(directory);
  if (std::string_view(role) == "writer") be_writer(directory);
}

}  // namespace
}  // namespace ashlar
