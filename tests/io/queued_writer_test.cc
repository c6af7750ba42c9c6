// Tests of many writes in flight: to a file and to a loop device, with and without io_uring.
#include "io/queued_writer.h"

#include <sys/mount.h>

#include <fstream>
#include <thread>

#include "io_asserts.h"
#include "support/loop_device.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

constexpr std::size_t kPieceBytes = 64 << 10;
constexpr std::size_t kPieces = 200;

// Writes all pieces of the target from four threads, and checks that the target holds all of them.
void write_by_threads(BlockDevice& device, const QueueOptions& options, std::uint64_t seed) {
  const ByteVector bytes = random_bytes(device.size().value, seed);
  QueuedWriter writer(device, options);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (std::size_t piece = t; piece * kPieceBytes < bytes.size(); piece += 4) {
          const std::size_t offset = piece * kPieceBytes;
          const std::size_t length = std::min(kPieceBytes, bytes.size() - offset);
          AlignedBuffer buffer(kPieceBytes);
          std::memcpy(buffer.data(), bytes.data() + offset, length);
          const Status queued = writer.submit(ByteOffset{offset}, std::move(buffer), length);
          ASSERT_TRUE(queued.ok()) << queued.error().text();
        }
      });
    }
  }
  ASSERT_DONE(writer.drain());
  ASSERT_DONE(device.sync());
  ByteVector out(bytes.size());
  ASSERT_EQ(device.read(ByteOffset{0}, out).take(), out.size());
  EXPECT_TRUE(bytes_equal(out, bytes)) << "seed " << seed;
}

class QueuedWrites : public ::testing::TestWithParam<QueueOptions> {};

TEST_P(QueuedWrites, OfManyThreadsArriveInAFile) {
  const TemporaryDirectory directory;
  // The size is a multiple of neither block nor piece: the last piece is short and odd.
  auto device = BlockDevice::create_file(directory / "f", ByteCount{kPieces * kPieceBytes + 777}).take();
  write_by_threads(*device, GetParam(), 1);
}

TEST_P(QueuedWrites, OfManyThreadsArriveOnADevice) {
  const TemporaryDirectory directory;
  const std::string backing = directory / "backing";
  std::ofstream(backing).put('x');
  std::filesystem::resize_file(backing, kPieces * kPieceBytes + 4096);
  const auto loop = LoopDevice::over(backing);
  if (!loop) GTEST_SKIP() << "no loop device on this host: needs root";
  auto device = BlockDevice::open(loop->path(), DeviceAccess::kReadWrite).take();
  write_by_threads(*device, GetParam(), 2);
}

TEST_P(QueuedWrites, AnOwnerLivesUntilItsWriteIsDone) {
  const TemporaryDirectory directory;
  auto device = BlockDevice::create_file(directory / "f", ByteCount{kPieceBytes}).take();
  auto owner = std::make_shared<const ByteVector>(random_bytes(kPieceBytes, 3));
  {
    QueuedWriter writer(*device, GetParam());
    ASSERT_DONE(writer.submit(ByteOffset{0}, *owner, owner));
    ASSERT_DONE(writer.submit(ByteOffset{0}, {}, owner));
    ASSERT_DONE(writer.drain());
    EXPECT_EQ(owner.use_count(), 1);
    ASSERT_DONE(writer.submit(ByteOffset{0}, *owner, owner));
  }
  EXPECT_EQ(owner.use_count(), 1);
}

TEST_P(QueuedWrites, TheFirstFailureStopsTheQueue) {
  const TemporaryDirectory directory;
  if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs needs root";
  }
  {
    auto device = BlockDevice::create_file(directory / "f", ByteCount{std::uint64_t{64} << 20}).take();
    QueuedWriter writer(*device, GetParam());
    Status queued;
    for (std::uint64_t piece = 0; piece < 1024 && queued.ok(); ++piece) {
      AlignedBuffer buffer(kPieceBytes);
      std::ranges::fill(buffer.span(), std::byte{1});
      queued = writer.submit(ByteOffset{piece * kPieceBytes}, std::move(buffer), kPieceBytes);
    }
    EXPECT_FAILS(queued, ErrorCode::kExhausted);
    const Status drained = writer.drain();
    EXPECT_FAILS(drained, ErrorCode::kExhausted);
    EXPECT_NE(drained.error().text().find(directory / "f"), std::string::npos) << drained.error().text();
    EXPECT_FAILS(writer.submit(ByteOffset{0}, AlignedBuffer(4096), 4096), ErrorCode::kExhausted);
  }
  ::umount2(directory.path().c_str(), MNT_DETACH);
}

TEST_P(QueuedWrites, ARangeBehindTheEndIsRefusedAndHarmsNothing) {
  const TemporaryDirectory directory;
  auto device = BlockDevice::create_file(directory / "f", ByteCount{8192}).take();
  QueuedWriter writer(*device, GetParam());
  EXPECT_FAILS(writer.submit(ByteOffset{4097}, AlignedBuffer(4096), 4096), ErrorCode::kInvalid);
  AlignedBuffer zeros(4096);
  std::ranges::fill(zeros.span(), std::byte{0});
  ASSERT_DONE(writer.submit(ByteOffset{4096}, std::move(zeros), 4096));
  ASSERT_DONE(writer.drain());
  EXPECT_EQ(std::filesystem::file_size(directory / "f"), 8192U);
}

std::string name_of_way(const ::testing::TestParamInfo<QueueOptions>& way) {
  const auto& ring = way.param.io_uring;
  return std::string(!ring ? "best" : *ring ? "ring" : "plain") + std::to_string(way.param.depth);
}
INSTANTIATE_TEST_SUITE_P(Ways, QueuedWrites,
                         ::testing::Values(QueueOptions{}, QueueOptions{32, true}, QueueOptions{1, true},
                                           QueueOptions{32, false}),
                         name_of_way);

TEST(QueuedWriter, UsesTheRingForDevicesWhereTheKernelHasOne) {
  std::ifstream setting("/proc/sys/kernel/io_uring_disabled");
  int disabled = 1;
  if (!(setting >> disabled) || disabled != 0) GTEST_SKIP() << "io_uring is off on this host";
  const TemporaryDirectory directory;
  auto file = BlockDevice::create_file(directory / "f", ByteCount{8192}).take();
  EXPECT_FALSE(QueuedWriter(*file).uses_io_uring());
  EXPECT_TRUE(QueuedWriter(*file, {32, true}).uses_io_uring());
  const auto loop = LoopDevice::over(directory / "f");
  if (!loop) GTEST_SKIP() << "no loop device on this host: needs root";
  auto device = BlockDevice::open(loop->path(), DeviceAccess::kReadWrite).take();
  EXPECT_TRUE(QueuedWriter(*device).uses_io_uring());
  EXPECT_FALSE(QueuedWriter(*device, {32, false}).uses_io_uring());
}

}  // namespace
}  // namespace ashlar
