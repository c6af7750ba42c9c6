// Tests of who may write to a target: one restore at a time, never into an image that is in use, and only
// into a file of the restore's own.
#include "restore/target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "support/temporary_directory.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;
using TargetResult = Result<std::unique_ptr<Target>>;

constexpr ByteCount kSize{1 << 20};

class TargetTest : public testing::Test {
 protected:
  std::string file(const std::string& name) const { return directory_ / name; }
  std::string make(const std::string& name, char fill) const {
    std::ofstream(file(name)) << std::string(kSize.value, fill);
    return file(name);
  }
  static std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static Status fill(Target& target, char byte) {
    const auto bytes = std::make_shared<std::string>(kSize.value, byte);
    return target.write(ByteOffset{0}, std::as_bytes(std::span(*bytes)), bytes);
  }
  static void expect_fails(const TargetResult& opened, ErrorCode code, const std::string& says = "") {
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code(), code) << opened.error().text();
    EXPECT_NE(opened.error().text().find(says), std::string::npos) << opened.error().text();
    EXPECT_EQ(opened.error().text().find('\n'), std::string::npos);
  }

  TemporaryDirectory directory_;
};

TEST_F(TargetTest, ANewNameIsWrittenByOneRestoreAtATime) {
  auto first = Target::open(file("disk"), kSize, false).take();
  expect_fails(Target::open(file("disk"), kSize, true), ErrorCode::kBusy,
               "is being written by another restore");
  ASSERT_TRUE(fill(*first, 'a').ok());
  ASSERT_TRUE(first->finish().ok());
  EXPECT_EQ(content(file("disk")), std::string(kSize.value, 'a'));
  EXPECT_FALSE(fs::exists(partial_name(file("disk"))));
  expect_fails(Target::open(file("disk"), kSize, true), ErrorCode::kBusy);
  first.reset();
  EXPECT_TRUE(Target::open(file("disk"), kSize, true).ok());
}

// Left by a restore that was killed before the file had its size.
TEST_F(TargetTest, AnEmptyPartialFileIsTakenUp) {
  std::ofstream(partial_name(file("disk"))).close();
  auto target = Target::open(file("disk"), kSize, false);
  ASSERT_TRUE(target.ok()) << target.error().text();
  EXPECT_EQ(target.value()->size(), kSize);
  EXPECT_TRUE(target.value()->is_resumed());
  ASSERT_TRUE(fill(*target.value(), 'a').ok());
  ASSERT_TRUE(target.value()->finish().ok());
  EXPECT_EQ(content(file("disk")), std::string(kSize.value, 'a'));
}

TEST_F(TargetTest, WhatADeadProcessLeftIsTakenUp) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto target = Target::open(file("disk"), kSize, false);
    const bool ok = target.ok() && fill(*target.value(), 'x').ok() && target.value()->sync().ok();
    ::_exit(ok ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  auto target = Target::open(file("disk"), kSize, false);
  ASSERT_TRUE(target.ok()) << target.error().text();
  EXPECT_TRUE(target.value()->is_resumed());
  EXPECT_EQ(target.value()->written_name(), partial_name(file("disk")));
  ASSERT_TRUE(target.value()->finish().ok());
  EXPECT_EQ(target.value()->written_name(), file("disk"));
}

TEST_F(TargetTest, NothingButAFileOfItsOwnIsTakenUpAsPartial) {
  const std::string victim = make("victim", 'v');
  const std::string partial = partial_name(file("disk"));
  const auto refused = [&] {
    expect_fails(Target::open(file("disk"), kSize, true), ErrorCode::kInvalid, partial);
    ASSERT_EQ(fs::remove(partial), true);
  };
  fs::create_symlink(victim, partial);
  refused();
  fs::create_symlink(file("nothing"), partial);
  refused();
  EXPECT_FALSE(fs::exists(file("nothing")));
  fs::create_hard_link(victim, partial);
  refused();
  fs::create_directory(partial);
  refused();
  ASSERT_EQ(::mkfifo(partial.c_str(), 0600), 0);
  refused();
  EXPECT_EQ(content(victim), std::string(kSize.value, 'v'));
}

TEST_F(TargetTest, NamesThatCouldNeverBeWrittenAreRefusedAtOnce) {
  fs::create_symlink(file("nothing"), file("dangling"));
  expect_fails(Target::open(file("dangling"), kSize, true), ErrorCode::kInvalid, "symbolic link");
  expect_fails(Target::open("", kSize, true), ErrorCode::kInvalid);
  expect_fails(Target::open(file("no folder/disk"), kSize, true), ErrorCode::kNotFound);
  EXPECT_FALSE(fs::exists(".ashlar-partial"));
  EXPECT_FALSE(fs::exists(partial_name(file("dangling"))));
  EXPECT_FALSE(fs::exists(file("nothing")));
}

TEST_F(TargetTest, ASymbolicLinkToAFileIsThatFile) {
  make("disk", 'd');
  fs::create_symlink(file("disk"), file("link"));
  auto target = Target::open(file("link"), kSize, true);
  ASSERT_TRUE(target.ok()) << target.error().text();
  ASSERT_TRUE(fill(*target.value(), 'n').ok());
  ASSERT_TRUE(target.value()->finish().ok());
  EXPECT_EQ(content(file("disk")), std::string(kSize.value, 'n'));
  EXPECT_TRUE(fs::is_symlink(file("link")));
}

// QEMU takes shared locks on single bytes around 100 and 200 of an image that it uses.
TEST_F(TargetTest, AnImageThatAnotherProgramLockedIsBusy) {
  for (const std::string& path : {make("disk", 'd'), make("new.ashlar-partial", 'd')}) {
    const UniqueFd qemu(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    struct flock lock {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 100;
    lock.l_len = 1;
    ASSERT_EQ(::fcntl(qemu.get(), F_OFD_SETLK, &lock), 0);
    const std::string target = path == file("disk") ? path : file("new");
    expect_fails(Target::open(target, kSize, true), ErrorCode::kBusy, "locked by another program");
    lock.l_type = F_UNLCK;
    ASSERT_EQ(::fcntl(qemu.get(), F_OFD_SETLK, &lock), 0);
    EXPECT_TRUE(Target::open(target, kSize, true).ok());
  }
}

TEST_F(TargetTest, ARestoreWhoseFileWasRemovedGivesNoOtherFileItsName) {
  auto first = Target::open(file("disk"), kSize, false).take();
  ASSERT_TRUE(fs::remove(partial_name(file("disk"))));
  auto second = Target::open(file("disk"), kSize, false).take();
  const Status finished = first->finish();
  ASSERT_FALSE(finished.ok());
  EXPECT_EQ(finished.error().code(), ErrorCode::kBusy);
  EXPECT_FALSE(fs::exists(file("disk"))) << "the second has not written anything yet";
  ASSERT_TRUE(fill(*second, '2').ok());
  ASSERT_TRUE(second->finish().ok());
  EXPECT_EQ(content(file("disk")), std::string(kSize.value, '2'));
}

}  // namespace
}  // namespace ashlar
