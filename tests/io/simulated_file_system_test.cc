// Tests of what the simulated disk forgets, keeps and fails. Seeds are printed, so that a failure can be
// repeated.
#include "simulated/simulated_file_system.h"

#include <set>

#include "io_asserts.h"

namespace ashlar {
namespace {

std::unique_ptr<WritableFile> file_with(FileSystem& files, const std::string& path, std::string_view text) {
  auto file = files.create(path).take();
  EXPECT_TRUE(file->append(as_byte_span(text)).ok());
  return file;
}

std::string text_at(FileSystem& files, const std::string& path) {
  auto bytes = read_file(files, path, 1 << 20);
  return bytes.ok() ? text_of(bytes.value())
                    : std::string("(") + std::string(error_code_name(bytes.error().code())) + ")";
}

TEST(SimulatedCrash, KeepsWhatWasSyncedWithItsName) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedFileSystem files;
    ASSERT_DONE(files.make_directory("/d"));
    ASSERT_DONE(files.sync_directory("/"));
    auto file = file_with(files, "/d/f", "kept");
    ASSERT_DONE(file->sync());
    ASSERT_DONE(files.sync_directory("/d"));
    ASSERT_DONE(file->append(as_byte_span(" and maybe this")));
    files.crash(seed);
    EXPECT_EQ(text_at(files, "/d/f").substr(0, 4), "kept");
    EXPECT_LE(files.file_size("/d/f").take(), std::string("kept and maybe this").size());
  }
}

TEST(SimulatedCrash, TheWorstCaseForgetsEachThingThatWasNotSynced) {
  SimulatedFileSystem files;
  ASSERT_DONE(files.make_directory("/lost"));
  ASSERT_DONE(file_with(files, "/lost/f", "synced in a folder that was not")->sync());
  ASSERT_DONE(files.sync_directory("/lost"));
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(files, "/lost/f"), "(not_found)");

  ASSERT_DONE(file_with(files, "/nameless", "bytes without a name")->sync());
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(files, "/nameless"), "(not_found)");

  file_with(files, "/empty", "a name without bytes");
  ASSERT_DONE(files.sync_directory("/"));
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(files, "/empty"), "");

  ASSERT_DONE(files.remove("/empty"));
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(files, "/empty"), "");
}

TEST(SimulatedCrash, TheBestCaseKeepsEverything) {
  SimulatedFileSystem files;
  ASSERT_DONE(files.make_directory("/d"));
  file_with(files, "/d/f", "never synced");
  files.crash(SimulatedFileSystem::kKeepUnsynced);
  EXPECT_EQ(text_at(files, "/d/f"), "never synced");
}

TEST(SimulatedCrash, ARenameCanEndInEachOfItsStates) {
  std::set<std::pair<std::string, std::string>> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedFileSystem files;
    ASSERT_DONE(file_with(files, "/a", "new")->sync());
    ASSERT_DONE(file_with(files, "/b", "old")->sync());
    ASSERT_DONE(files.sync_directory("/"));
    ASSERT_DONE(files.rename("/a", "/b"));
    files.crash(seed);
    seen.emplace(text_at(files, "/a"), text_at(files, "/b"));
  }
  const std::set<std::pair<std::string, std::string>> all = {
      {"new", "old"}, {"new", "new"}, {"(not_found)", "old"}, {"(not_found)", "new"}};
  EXPECT_EQ(seen, all);
}

TEST(SimulatedCrash, UnsyncedBytesComeBackWholeCutOrDamaged) {
  const ByteVector bytes = random_bytes(20'000, 1);
  int whole = 0;
  int cut = 0;
  int damaged = 0;
  for (std::uint64_t seed = 2; seed < 202; ++seed) {
    SimulatedFileSystem files;
    ASSERT_DONE(files.create("/f").value()->append(bytes));
    ASSERT_DONE(files.sync_directory("/"));
    files.crash(seed);
    const ByteVector after = read_file(files, "/f", 1 << 20).take();
    const bool prefix = bytes_equal(after, ByteSpan(bytes).first(after.size()));
    whole += prefix && after.size() == bytes.size() ? 1 : 0;
    cut += prefix && after.size() < bytes.size() ? 1 : 0;
    damaged += prefix ? 0 : 1;
  }
  EXPECT_GT(whole, 10);
  EXPECT_GT(cut, 10);
  EXPECT_GT(damaged, 10);
}

TEST(SimulatedCrash, TheSameSeedGivesTheSameDisk) {
  const auto run = [](std::uint64_t seed) {
    SimulatedFileSystem files;
    for (int i = 0; i < 20; ++i)
      file_with(files, "/" + std::to_string(i), std::string(700, static_cast<char>('a' + i)));
    files.crash(seed);
    std::string all;
    for (const DirectoryEntry& entry : files.list("/").take())
      all += entry.name + text_at(files, "/" + entry.name);
    return all;
  };
  EXPECT_EQ(run(77), run(77));
  EXPECT_NE(run(77), run(78));
}

TEST(SimulatedCrash, HandlesAndLocksDieWithTheMachine) {
  SimulatedFileSystem files;
  auto writer = file_with(files, "/f", "x");
  auto reader = files.open("/f", ReadMode::kCached).take();
  auto lock = files.lock("/l").take();
  files.crash(SimulatedFileSystem::kKeepUnsynced);
  ByteVector out(1);
  EXPECT_FAILS(writer->append(out), ErrorCode::kIo);
  EXPECT_FAILS(writer->sync(), ErrorCode::kIo);
  EXPECT_FAILS(reader->read_at(0, out), ErrorCode::kIo);
  auto newer = files.lock("/l");
  ASSERT_DONE(newer);
  lock.reset();
  EXPECT_FAILS(files.lock("/l"), ErrorCode::kBusy);
}

TEST(SimulatedRecord, GivesTheDiskAsItWasBeforeEachOperation) {
  SimulatedFileSystem files;
  ASSERT_DONE(file_with(files, "/old", "old")->sync());
  ASSERT_DONE(files.sync_directory("/"));
  files.record();
  const std::uint64_t begin = files.operations();
  auto file = file_with(files, "/new", "new");
  ASSERT_DONE(file->sync());
  ASSERT_DONE(files.rename("/new", "/old"));
  ASSERT_DONE(files.sync_directory("/"));
  EXPECT_EQ(text_at(*files.before(begin), "/new"), "(not_found)");
  EXPECT_EQ(text_at(*files.before(begin + 1), "/new"), "");
  EXPECT_EQ(text_at(*files.before(begin + 3), "/new"), "new");
  const auto renamed = files.before(begin + 4);
  EXPECT_EQ(text_at(*renamed, "/old"), "new");
  // The copy forgets what was not synced, and the disk that it is of does not.
  renamed->crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(*renamed, "/old"), "old");
  EXPECT_EQ(text_at(files, "/old"), "new");
  const auto now = files.before(files.operations());
  now->crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(*now, "/old"), "new");
  EXPECT_EQ(now->place_of("/old").take(), files.place_of("/old").take());
  // The copy is a disk of its own.
  ASSERT_DONE(now->remove("/old"));
  EXPECT_EQ(text_at(files, "/old"), "new");
  now->become(files);
  EXPECT_EQ(text_at(*now, "/old"), "new");
}

TEST(SimulatedFault, AFailedSyncLosesTheBytesAndIsReportedOnce) {
  SimulatedFileSystem files;
  auto file = file_with(files, "/f", "safe ");
  ASSERT_DONE(file->sync());
  ASSERT_DONE(files.sync_directory("/"));
  ASSERT_DONE(file->append(as_byte_span("gone")));
  files.fail_operation(files.operations(), EIO);
  const Status failed = file->sync();
  EXPECT_FAILS(failed, ErrorCode::kIo);
  EXPECT_EQ(failed.error().error_number(), EIO);
  const Status poisoned = file->sync();
  EXPECT_FAILS(poisoned, ErrorCode::kIo);
  EXPECT_NE(poisoned.error().text().find("failed before"), std::string::npos);
  EXPECT_EQ(text_at(files, "/f"), std::string("safe \0\0\0\0", 9));
}

TEST(SimulatedFault, AFailingAppendIsExhaustedAndPoisons) {
  SimulatedFileSystem files;
  auto file = file_with(files, "/f", "one");
  files.fail_operation(files.operations(), ENOSPC);
  EXPECT_FAILS(file->append(as_byte_span("two")), ErrorCode::kExhausted);
  EXPECT_FAILS(file->append(as_byte_span("three")), ErrorCode::kIo);
  EXPECT_FAILS(file->sync(), ErrorCode::kIo);
  const std::string text = text_at(files, "/f");
  EXPECT_TRUE(std::string("onetwo").starts_with(text)) << text;
}

TEST(SimulatedFault, AFullDiskStillReadsAndRemoves) {
  SimulatedFileSystem files;
  ASSERT_DONE(file_with(files, "/f", "x")->sync());
  files.set_full(true);
  EXPECT_FAILS(files.create("/g"), ErrorCode::kExhausted);
  EXPECT_FAILS(files.make_directory("/d"), ErrorCode::kExhausted);
  EXPECT_EQ(text_at(files, "/f"), "x");
  ASSERT_DONE(files.remove("/f"));
  files.set_full(false);
  ASSERT_DONE(files.create("/g"));
}

TEST(SimulatedFault, AStoppedMachineDoesNothingUntilItCrashed) {
  SimulatedFileSystem files;
  ASSERT_DONE(file_with(files, "/f", "x")->sync());
  ASSERT_DONE(files.sync_directory("/"));
  files.stop_at(files.operations());
  EXPECT_FAILS(files.remove("/f"), ErrorCode::kIo);
  EXPECT_FAILS(files.open("/f", ReadMode::kCached), ErrorCode::kIo);
  EXPECT_FAILS(files.list("/"), ErrorCode::kIo);
  EXPECT_FAILS(files.lock("/l"), ErrorCode::kIo);
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(text_at(files, "/f"), "x");
}

TEST(SimulatedFault, OperationsAreCountedAndTold) {
  SimulatedFileSystem files;
  ASSERT_DONE(file_with(files, "/f", "abc")->sync());
  ASSERT_DONE(files.open("/f", ReadMode::kCached));
  ASSERT_DONE(files.sync_directory("/"));
  const std::vector<std::string> expected = {"create /f", "append 3 bytes to /f", "sync /f",
                                             "sync directory /"};
  EXPECT_EQ(files.trace(), expected);
  EXPECT_EQ(files.operations(), 4U);
}

}  // namespace
}  // namespace ashlar
