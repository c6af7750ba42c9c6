#include "source/device_source.h"

#include <fcntl.h>

#include "host_rig.h"
#include "source/source.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

void make_random_file(const std::string& path, std::uint64_t size, std::uint64_t seed) {
  make_file(path, 0);
  write_at(path, 0, random_bytes(size, seed));
}

TEST(DeviceSource, ALoopDeviceReadsAsItsFile) {
  const TempDir dir;
  make_random_file(dir / "disk", 26 * kMiB, 1);
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  const ByteVector truth = file_bytes(dir / "disk");
  const std::unique_ptr<Source> source = must_open(loop.path());
  EXPECT_EQ(source->type(), SourceType::kDevice);
  EXPECT_EQ(source->size()->value, truth.size());
  ASSERT_EQ(extents_of(*source).size(), 1U);
  EXPECT_EQ(extents_of(*source)[0].state, SourceState::kData) << "a device has no holes that we trust";
  for (const unsigned threads : {1U, 2U, 8U}) {
    for (const std::uint64_t run_bytes : {kLeafBytes, kLeafBytes / 2 + kBlockBytes, 3 * kBlockBytes}) {
      const Contents contents = read_whole(*source, threads, run_bytes);
      EXPECT_TRUE(contents.errors.empty());
      EXPECT_TRUE(contents.bytes == truth) << threads << " threads, runs of " << run_bytes;
    }
  }
}

// With sectors of 512 bytes a device may end within a block; with sectors of 4096 bytes it may hide the end
// of its file.
TEST(DeviceSource, OddSizes) {
  const TempDir dir;
  for (const std::uint64_t size : {kMiB + 512, 5 * kMiB + 3584, std::uint64_t{512}, kLeafBytes + 1536}) {
    for (const std::uint64_t sector : {512, 4096}) {
      const std::string file = dir / std::to_string(size);
      make_random_file(file, size, size);
      const LoopDevice loop(file, "-b " + std::to_string(sector));
      NEEDS_LOOP(loop);
      if (size < sector) continue;
      ByteVector truth = file_bytes(file);
      truth.resize(size / sector * sector);
      const std::unique_ptr<Source> source = must_open(loop.path());
      ASSERT_EQ(source->size()->value, truth.size());
      const Contents contents = read_whole(*source, 2);
      EXPECT_TRUE(contents.errors.empty());
      EXPECT_TRUE(contents.bytes == padded(truth)) << size << " with sectors of " << sector;
    }
  }
}

TEST(DeviceSource, WithoutIoUringTheBytesAreTheSame) {
  const TempDir dir;
  make_random_file(dir / "disk", 9 * kMiB + 512, 2);
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  const ByteVector truth = file_bytes(dir / "disk");
  auto file = std::make_shared<OpenFile>();
  file->name = loop.path();
  file->fd.reset(::open(loop.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  file->size = ByteCount{truth.size()};
  file->size_now = [size = file->size] { return Result<ByteCount>(size); };
  PreadReader slow(file, whole_plan(truth.size()));
  EXPECT_TRUE(drain(slow, truth.size(), 3).bytes == padded(truth));
}

// The kernel cancels the requests of a thread that ends; the threads that stay must still get their runs.
TEST(DeviceSource, ThreadsMayComeAndGo) {
  const TempDir dir;
  make_random_file(dir / "disk", 64 * kMiB, 3);
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  const ByteVector truth = file_bytes(dir / "disk");
  const std::unique_ptr<Source> source = must_open(loop.path());
  const std::unique_ptr<RunReader> reader = source->read(whole_plan(truth.size(), kMiB)).take();
  ByteVector rebuilt(truth.size());
  std::atomic<bool> more{true};
  while (more) {
    std::jthread([&] {
      Result<std::optional<ashlar::Run>> run = reader->next();
      ASSERT_TRUE(run.ok()) << run.error().text();
      more = run.value().has_value();
      if (more)
        std::memcpy(rebuilt.data() + run.value()->offset.value, run.value()->bytes.data(),
                    run.value()->bytes.size());
    }).join();
  }
  EXPECT_TRUE(rebuilt == truth);
}

TEST(DeviceSource, AReaderMayBeDroppedWithReadsInFlight) {
  const TempDir dir;
  make_random_file(dir / "disk", 64 * kMiB, 4);
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  const std::unique_ptr<Source> source = must_open(loop.path());
  for (int i = 0; i < 20; ++i) {
    const std::unique_ptr<RunReader> reader = source->read(whole_plan(64 * kMiB)).take();
    EXPECT_TRUE(reader->next().take());
  }
}

// The blocks 100, 101, 500 and the last one of this disk fail: nbdkit answers EIO for them, nbdfuse makes a
// file of the export, and a loop device uses the file.
TEST(DeviceSource, BadSectorsAreNamedAndTheRestIsRead) {
  if (!has_program("nbdkit") || !has_program("nbdfuse")) GTEST_SKIP() << "needs nbdkit and nbdfuse";
  const TempDir dir;
  make_random_file(dir / "disk", 8 * kMiB, 5);
  make_file(dir / "mnt", 0);
  const std::string read =
      "for bad in 100 101 500 2047; do s=$((bad*4096)); if [ $4 -lt $((s+4096)) ] && [ $(($4+$3)) -gt $s ]; "
      "then "
      "echo EIO bad sector >&2; exit 1; fi; done; "
      "dd if=" +
      dir / "disk" + " skip=$4 count=$3 iflag=skip_bytes,count_bytes status=none";
  Daemon server("nbdkit -f -U " + dir / "sock" +
                    " --filter=noparallel eval get_size='echo 8388608' can_write='exit 3' pread='" + read +
                    "'",
                dir / "sock");
  Daemon fuse("nbdfuse -r " + dir / "mnt" + " --unix " + dir / "sock", dir / "sock");
  for (int i = 0; i < 250 && std::filesystem::file_size(dir / "mnt") == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  {
    const LoopDevice loop(dir / "mnt", "-r");
    NEEDS_LOOP(loop);
    const std::vector<BlockRange> lost = {
        {Lba{100}, BlockCount{2}}, {Lba{500}, BlockCount{1}}, {Lba{2047}, BlockCount{1}}};
    ByteVector truth = file_bytes(dir / "disk");
    for (const BlockRange range : lost) {
      std::memset(truth.data() + byte_offset(range.first).value, 0, byte_count(range.count).value);
    }
    for (const std::string& path : {loop.path(), dir / "mnt"}) {
      const std::unique_ptr<Source> source = must_open(path);
      const Contents contents = read_whole(*source, 2);
      EXPECT_TRUE(contents.errors.empty()) << contents.errors[0];
      EXPECT_EQ(contents.unreadable, lost) << path;
      EXPECT_TRUE(contents.bytes == truth) << path;
    }
  }
  shell("fusermount3 -u " + dir / "mnt" + " 2>/dev/null || umount " + dir / "mnt");
}

TEST(DeviceSource, ADeviceThatShrinksIsAnError) {
  const TempDir dir;
  make_random_file(dir / "disk", 16 * kMiB, 6);
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  const std::unique_ptr<Source> source = must_open(loop.path());
  std::filesystem::resize_file(dir / "disk", 4 * kMiB);
  ASSERT_TRUE(shell("losetup -c " + loop.path()));
  const Contents contents = read_whole(*source, 2);
  ASSERT_FALSE(contents.errors.empty());
  EXPECT_NE(contents.errors[0].find("source shrank while it was read (was 16777216 bytes, is 4194304)"),
            std::string::npos)
      << contents.errors[0];
}

TEST(DeviceSource, TheIdentityOfALoopDeviceIsItsFile) {
  const TempDir dir;
  make_random_file(dir / "disk", kMiB, 7);
  std::string first;
  {
    const LoopDevice loop(dir / "disk");
    NEEDS_LOOP(loop);
    first = must_open(loop.path())->identity();
    EXPECT_EQ(first, "device:loop:0:" + std::filesystem::canonical(dir / "disk").string() + ":part0");
  }
  make_random_file(dir / "other", kMiB, 8);
  const LoopDevice other(dir / "other");
  const LoopDevice again(dir / "disk");
  EXPECT_EQ(must_open(again.path())->identity(), first) << "under whatever number it comes";
  EXPECT_NE(must_open(other.path())->identity(), first);
}

}  // namespace
}  // namespace ashlar
