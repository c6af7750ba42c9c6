// Tests of what only a real file system shows: direct reads, a full disk, locks between processes.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "io/file_system.h"
#include "io_asserts.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

void write_all(const std::string& path, const ByteVector& bytes) {
  auto file = posix_file_system().create(path);
  ASSERT_DONE(file);
  ASSERT_DONE(file.value()->append(bytes));
  ASSERT_DONE(file.value()->sync());
}

void expect_direct_reads(const std::string& path, const ByteVector& bytes, std::uint64_t seed) {
  auto file = posix_file_system().open(path, ReadMode::kDirect);
  ASSERT_DONE(file);
  Prng prng(seed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t offset = prng.below(bytes.size());
    const std::size_t length = prng.below(prng.below(4) == 0 ? 3 << 20 : 9000);
    // The read goes to a random place in a buffer, so that its address is odd as well.
    ByteVector memory(length + 64, std::byte{0xee});
    const std::size_t skew = prng.below(64);
    auto read = file.value()->read_at(offset, MutableByteSpan(memory).subspan(skew, length));
    ASSERT_DONE(read);
    const std::size_t expected = std::min(length, bytes.size() - offset);
    ASSERT_EQ(read.value(), expected) << "offset " << offset << " length " << length << " seed " << seed;
    ASSERT_TRUE(
        bytes_equal(ByteSpan(memory).subspan(skew, expected), ByteSpan(bytes).subspan(offset, expected)))
        << "offset " << offset << " length " << length << " seed " << seed;
    for (std::size_t i = skew + length; i < memory.size(); ++i)
      ASSERT_EQ(memory[i], std::byte{0xee}) << "overrun";
  }
  AlignedBuffer aligned(std::size_t{1} << 20);
  const std::size_t read = file.value()->read_at(4096, aligned.span()).take();
  const std::size_t expected = std::min(aligned.size(), bytes.size() - 4096);
  ASSERT_EQ(read, expected);
  EXPECT_TRUE(bytes_equal(aligned.span().first(read), ByteSpan(bytes).subspan(4096, read)));
  EXPECT_EQ(file.value()->read_at(bytes.size(), aligned.span()).take(), 0U);
  EXPECT_EQ(file.value()->read_at(std::uint64_t{1} << 40, aligned.span()).take(), 0U);
}

TEST(PosixDirectRead, OddRangesReadTheRightBytes) {
  const TemporaryDirectory directory;
  for (const std::size_t size : {std::size_t{4097}, std::size_t{65536}, std::size_t{5'000'003}}) {
    const std::string path = directory / std::to_string(size);
    const ByteVector bytes = random_bytes(size, size);
    write_all(path, bytes);
    expect_direct_reads(path, bytes, 7 + size);
  }
}

TEST(PosixDirectRead, WorksWhereThereIsNoDirectIo) {
  if (::access("/dev/shm", W_OK) != 0) GTEST_SKIP() << "no /dev/shm on this host";
  const TemporaryDirectory directory("/dev/shm");
  const ByteVector bytes = random_bytes(1'234'567, 3);
  write_all(directory / "f", bytes);
  expect_direct_reads(directory / "f", bytes, 11);
}

TEST(PosixDirectRead, APlaceBehindEveryFileIsRefused) {
  const TemporaryDirectory directory;
  write_all(directory / "f", random_bytes(10, 1));
  const auto file = posix_file_system().open(directory / "f", ReadMode::kDirect).take();
  ByteVector out(10);
  EXPECT_FAILS(file->read_at(~std::uint64_t{0} - 4, out), ErrorCode::kInvalid);
  EXPECT_FAILS(file->read_at(std::uint64_t{1} << 63, out), ErrorCode::kInvalid);
}

TEST(PosixWritableFile, AFullDiskPoisonsTheFile) {
  const TemporaryDirectory directory;
  if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  }
  {
    auto file = posix_file_system().create(directory / "f").take();
    ASSERT_DONE(file->append(random_bytes(500'000, 1)));
    const Status full = file->append(random_bytes(4 << 20, 2));
    EXPECT_FAILS(full, ErrorCode::kExhausted);
    EXPECT_NE(full.error().text().find(directory / "f"), std::string::npos) << full.error().text();

    const Status again = file->append(random_bytes(1, 3));
    EXPECT_FAILS(again, ErrorCode::kIo);
    EXPECT_NE(again.error().text().find("failed before"), std::string::npos) << again.error().text();
    EXPECT_FAILS(file->sync(), ErrorCode::kIo);
  }
  ASSERT_DONE(posix_file_system().remove(directory / "f"));
  ::umount2(directory.path().c_str(), MNT_DETACH);
}

TEST(PosixFiles, LinksAreShownAsSuchAndNoLockIsMadeThroughOne) {
  const TemporaryDirectory scratch;
  std::filesystem::create_directory(scratch / "folder");
  std::filesystem::create_directory_symlink("folder", scratch / "link");
  std::filesystem::create_symlink("elsewhere", scratch / "lock");
  FileSystem& files = posix_file_system();
  const auto entries = files.list(scratch.path());
  ASSERT_DONE(entries);
  EXPECT_EQ(entries.value(), std::vector<DirectoryEntry>(
                                 {{"folder", true, false}, {"link", true, true}, {"lock", false, true}}));
  EXPECT_FALSE(files.lock(scratch / "lock").ok());
  EXPECT_FALSE(std::filesystem::exists(scratch / "elsewhere"));
}

TEST(PosixFiles, AreReadableToTheirOwnerAlone) {
  const TemporaryDirectory directory;
  write_all(directory / "f", random_bytes(10, 1));
  ASSERT_DONE(posix_file_system().make_directory(directory / "d"));
  const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
  for (const char* name : {"f", "d"}) {
    const auto permissions = std::filesystem::status(directory / name).permissions();
    EXPECT_EQ(permissions & others, std::filesystem::perms::none) << name;
  }
}

TEST(PosixLock, IsFreedWhenItsProcessIsKilled) {
  const TemporaryDirectory directory;
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto lock = posix_file_system().lock(directory / "l");
    const char held = lock.ok() ? 'y' : 'n';
    if (::write(ready[1], &held, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char held = 0;
  ASSERT_EQ(::read(ready[0], &held, 1), 1);
  ASSERT_EQ(held, 'y');
  EXPECT_FAILS(posix_file_system().lock(directory / "l"), ErrorCode::kBusy);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ASSERT_DONE(posix_file_system().lock(directory / "l"));
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace ashlar
