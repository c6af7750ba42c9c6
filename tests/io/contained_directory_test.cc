// Tests of files in a directory that another party filled.
#include "io/contained_directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/unique_fd.h"
#include "io_asserts.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

TEST(ContainedDirectory, FilesAreReadAndNothingElseIs) {
  const TemporaryDirectory scratch;
  std::filesystem::create_directories(scratch / "inside/a/b");
  std::ofstream(scratch / "inside/a/b/file") << "inside";
  std::ofstream(scratch / "outside") << "outside";
  std::filesystem::create_symlink(scratch / "inside", scratch / "link");
  std::filesystem::create_symlink("b/file", scratch / "inside/a/file-link");
  std::filesystem::create_directory_symlink("b", scratch / "inside/a/folder-link");
  std::filesystem::create_symlink("/nowhere", scratch / "inside/dangling");
  ASSERT_EQ(::mkfifo((scratch / "inside/pipe").c_str(), 0600), 0);

  const auto directory = ContainedDirectory::open(scratch / "link");
  ASSERT_DONE(directory);
  const auto file = directory.value().open_file("a/b/file");
  ASSERT_DONE(file);
  ByteVector bytes(6);
  EXPECT_EQ(file.value()->read_at(0, bytes).value(), 6U);
  EXPECT_EQ(as_text(bytes), "inside");
  EXPECT_EQ(file.value()->size().value(), 6U);

  for (const char* name : {"", "/etc/passwd", "../outside", "a/../../outside", "a//b", "a", "a/b/",
                           "a/file-link", "a/folder-link/file", "dangling", "pipe", "a/b/file/x"})
    EXPECT_EQ(directory.value().open_file(name).error().code(), ErrorCode::kInvalid) << name;
  EXPECT_EQ(directory.value().open_file("a/none").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(directory.value().open_file("none/file").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ContainedDirectory::open(scratch / "none").error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(ContainedDirectory::open(scratch / "outside").ok());
}

// Opening a device may rewind a tape, so only regular files are opened at all. The test uses a pipe: its
// writer would notice an opening.
TEST(ContainedDirectory, WhatIsNoFileIsNotEvenOpened) {
  const TemporaryDirectory scratch;
  const std::string pipe = scratch / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  std::atomic<bool> was_opened = false;
  const std::jthread writer([&] {
    const UniqueFd fd(::open(pipe.c_str(), O_WRONLY | O_CLOEXEC));
    was_opened = true;
  });
  const auto directory = ContainedDirectory::open(scratch.path());
  ASSERT_DONE(directory);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(directory.value().open_file("pipe").error().code(), ErrorCode::kInvalid);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(was_opened);
  while (!was_opened) {
    const UniqueFd reader(::open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace
}  // namespace ashlar
