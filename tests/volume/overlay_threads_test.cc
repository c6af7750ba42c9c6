// Tests of many threads on one overlay, and of a host disk that runs full.
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "base/random.h"
#include "support/temporary_directory.h"
#include "volume/overlay.h"

namespace ashlar {
namespace {

constexpr VolumeId kVolume{3};

// Each thread writes and reads every fourth block alone; all threads share chunks, flushes, marks and views.
TEST(OverlayThreads, EachReadsWhatItWroteWhateverTheOthersDo) {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kBlocks = 3000;
  constexpr std::uint64_t kThreads = 4;
  auto overlay = Overlay::create(posix_file_system(), directory.path(), kVolume,
                                 ByteCount{kBlocks * kBlockBytes}, SnapshotId{1})
                     .take();
  std::vector<std::uint8_t> last(kBlocks);
  const auto guest = [&](std::uint64_t id) {
    Prng prng(id);
    for (int round = 0; round < 1500; ++round) {
      const std::uint64_t lba = prng.below(kBlocks / kThreads) * kThreads + id;
      const auto fill = static_cast<std::uint8_t>(prng.below(256));
      const std::uint64_t action = prng.below(20);
      if (action < 10) {
        ASSERT_TRUE(overlay->write(byte_offset(Lba{lba}), ByteVector(kBlockBytes, std::byte{fill})).ok());
        last[lba] = fill;
      } else if (action < 13) {
        ASSERT_TRUE(overlay->write_zeroes(byte_offset(Lba{lba}), ByteCount{kBlockBytes}, action == 10).ok());
        last[lba] = 0;
      } else if (action < 16) {
        // The base reads as zeros here.
        ASSERT_TRUE(overlay->put_clean(Lba{lba}, ByteVector(kBlockBytes)).ok());
        ByteVector out(kBlockBytes);
        ASSERT_TRUE(overlay->read(byte_offset(Lba{lba}), out).ok());
        ASSERT_EQ(out, ByteVector(kBlockBytes, std::byte{last[lba]})) << lba;
      } else if (action == 16) {
        ASSERT_TRUE(overlay->flush().ok());
      }
    }
  };
  std::atomic<bool> done{false};
  const auto snapshots = [&] {
    for (std::uint64_t id = 2; !done; ++id) {
      auto view = overlay->begin_view();
      ASSERT_TRUE(view.ok()) << view.error().text();
      std::vector<ByteVector> before;
      for (const HoldRun& run : view.value()->changes()) {
        ByteVector& bytes = before.emplace_back(byte_count(run.blocks.count).value);
        ASSERT_TRUE(view.value()->read(run.blocks.first, bytes).ok());
      }
      for (std::size_t i = 0; i < before.size(); ++i) {
        ByteVector again(before[i].size());
        ASSERT_TRUE(view.value()->read(view.value()->changes()[i].blocks.first, again).ok());
        ASSERT_EQ(again, before[i]) << "a view does not change";
      }
      ASSERT_TRUE(id % 3 == 0 || overlay->end_view(view.take(), SnapshotId{id}).ok());
    }
  };
  {
    std::jthread taker(snapshots);
    {
      std::vector<std::jthread> guests;
      for (std::uint64_t id = 0; id < kThreads; ++id) guests.emplace_back(guest, id);
    }
    done = true;
  }
  ASSERT_TRUE(overlay->close().ok());
  overlay.reset();
  overlay = Overlay::open(posix_file_system(), directory.path(), kVolume).take();
  for (std::uint64_t lba = 0; lba < kBlocks; ++lba) {
    if (overlay->states({Lba{lba}, BlockCount{1}})[0].hold == BlockHold::kAbsent) continue;
    ByteVector out(kBlockBytes);
    ASSERT_TRUE(overlay->read(byte_offset(Lba{lba}), out).ok());
    ASSERT_EQ(out, ByteVector(kBlockBytes, std::byte{last[lba]})) << lba;
  }
}

std::uint64_t counter_in(const SnapshotView& view, Lba block) {
  for (const HoldRun& run : view.changes()) {
    if (block < run.blocks.first || block >= run.blocks.end()) continue;
    ByteVector bytes(kBlockBytes);
    EXPECT_TRUE(view.read(block, bytes).ok());
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  return 0;
}

// Each guest writes its counter to a block of the first disk, and then to a block of the second one: at any
// instant the counter on the first disk is equal to that on the second, or larger by one.
TEST(OverlayThreads, ViewsOfTwoDisksAreOfOneInstant) {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kGuests = 3;
  std::vector<std::unique_ptr<Overlay>> disks;
  for (const char* name : {"first", "second"}) {
    ASSERT_TRUE(posix_file_system().make_directory(directory / name).ok());
    disks.push_back(Overlay::create(posix_file_system(), directory / name, kVolume,
                                    ByteCount{100 * kBlockBytes}, SnapshotId{1})
                        .take());
  }
  std::atomic<bool> done{false};
  const auto guest = [&](std::uint64_t id) {
    ByteVector bytes(kBlockBytes);
    for (std::uint64_t count = 1; !done; ++count) {
      std::memcpy(bytes.data(), &count, sizeof count);
      for (const auto& disk : disks) ASSERT_TRUE(disk->write(byte_offset(Lba{id * 10}), bytes).ok());
      if (count % 50 != id) continue;
      ASSERT_TRUE(disks[id % 2]->flush().ok());
    }
  };
  {
    std::vector<std::jthread> guests;
    for (std::uint64_t id = 0; id < kGuests; ++id) guests.emplace_back(guest, id);
    for (int round = 0; round < 100; ++round) {
      const auto views = Overlay::begin_views({disks[0].get(), disks[1].get()});
      ASSERT_TRUE(views.ok()) << views.error().text();
      for (std::uint64_t id = 0; id < kGuests; ++id) {
        const std::uint64_t first = counter_in(*views.value()[0], Lba{id * 10});
        const std::uint64_t second = counter_in(*views.value()[1], Lba{id * 10});
        EXPECT_GE(first, second) << round;
        EXPECT_LE(first, second + 1) << round;
      }
    }
    done = true;
  }
  // A disk that has a view already makes begin_views() fail for all disks, and leaves no view open on the
  // others.
  auto one = disks[1]->begin_view();
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(Overlay::begin_views({disks[0].get(), disks[1].get()}).error().code(), ErrorCode::kBusy);
  EXPECT_TRUE(disks[0]->begin_view().ok());
}

TEST(OverlayFullDisk, RefusesTheWriteWholeAndGoesOnWhenThereIsSpace) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounts a small tmpfs, which takes root";
  const TemporaryDirectory directory;
  if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=4m") != 0) GTEST_SKIP() << "no tmpfs here";
  struct Unmount {
    std::string path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } const unmount{directory.path()};
  auto overlay =
      Overlay::create(posix_file_system(), directory.path(), kVolume, ByteCount{64 << 20}, SnapshotId{1})
          .take();
  constexpr std::size_t kWrite = 256 << 10;
  std::uint64_t at = 0;
  Status written;
  while ((written = overlay->write(ByteOffset{at}, ByteVector(kWrite, std::byte{1}))).ok()) at += kWrite;
  EXPECT_EQ(written.error().code(), ErrorCode::kExhausted) << written.error().text();
  EXPECT_GE(at, 3U << 20);
  const auto behind = overlay->states({lba_of(ByteOffset{at}), BlockCount{kWrite / kBlockBytes}});
  EXPECT_EQ(behind.size(), 1U);
  EXPECT_EQ(behind[0].hold, BlockHold::kAbsent);
  // Blocks that are held already can be written again, read and trimmed; the space that a trim frees serves
  // the next write.
  EXPECT_TRUE(overlay->write(ByteOffset{0}, ByteVector(kWrite, std::byte{2})).ok());
  EXPECT_TRUE(overlay->write_zeroes(ByteOffset{kWrite}, ByteCount{2 * kWrite}, true).ok());
  EXPECT_TRUE(overlay->write(ByteOffset{at}, ByteVector(kWrite, std::byte{3})).ok());
  const Status flushed = overlay->flush();
  EXPECT_TRUE(flushed.ok()) << flushed.error().text();
  overlay.reset();
  overlay = Overlay::open(posix_file_system(), directory.path(), kVolume).take();
  ByteVector out(kWrite);
  ASSERT_TRUE(overlay->read(ByteOffset{at}, out).ok());
  EXPECT_EQ(out, ByteVector(kWrite, std::byte{3}));
}

TEST(OverlayFiles, OneProcessAtATimeAndNamesThatAreTaken) {
  const TemporaryDirectory directory;
  FileSystem& files = posix_file_system();
  EXPECT_EQ(Overlay::open(files, directory.path(), kVolume).error().code(), ErrorCode::kNotFound);
  auto overlay = Overlay::create(files, directory.path(), kVolume, ByteCount{1 << 20}, SnapshotId{1}).take();
  EXPECT_EQ(Overlay::open(files, directory.path(), kVolume).error().code(), ErrorCode::kBusy);
  EXPECT_EQ(Overlay::remove(files, directory.path()).error().code(), ErrorCode::kBusy);
  overlay.reset();
  EXPECT_EQ(
      Overlay::create(files, directory.path(), kVolume, ByteCount{1}, SnapshotId{1}).error().error_number(),
      EEXIST);
  ASSERT_TRUE(Overlay::remove(files, directory.path()).ok());
  EXPECT_TRUE(files.list(directory.path()).take().empty());
}

// When every block is held, the file `data` by itself is the raw image of the disk.
TEST(OverlayFiles, SettledDataIsTheRawImage) {
  const TemporaryDirectory directory;
  FileSystem& files = posix_file_system();
  constexpr std::size_t kBytes = 40 * kBlockBytes + 100;
  auto overlay = Overlay::create(files, directory.path(), kVolume, ByteCount{kBytes}, SnapshotId{1}).take();
  EXPECT_EQ(overlay->settle_data().error().code(), ErrorCode::kInvalid);
  ByteVector model(kBytes);
  Prng(4).fill(model);
  ASSERT_TRUE(overlay->put_clean(Lba{0}, model).ok());
  ASSERT_TRUE(overlay->write(ByteOffset{5000}, ByteVector(9000, std::byte{7})).ok());
  std::fill_n(model.begin() + 5000, 9000, std::byte{7});
  ASSERT_TRUE(overlay->write_zeroes(ByteOffset{60'000}, ByteCount{kBytes - 60'000}, true).ok());
  std::fill(model.begin() + 60'000, model.end(), std::byte{0});
  ASSERT_TRUE(overlay->settle_data().ok());
  EXPECT_EQ(read_file(files, directory / "data", kBytes).take(), model);
}

}  // namespace
}  // namespace ashlar
