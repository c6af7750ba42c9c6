// Tests of block devices as targets: regular files and real loop devices, also with sectors of 4096 bytes.
#include "io/block_device.h"

#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "io_asserts.h"
#include "support/loop_device.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kDeviceBytes = (std::uint64_t{2} << 20) + std::uint64_t{4096} * 3;

std::string backing_file(const TemporaryDirectory& directory, std::uint64_t bytes) {
  std::string path = directory / "backing";
  std::ofstream(path).put('x');
  std::filesystem::resize_file(path, bytes);
  return path;
}

// Checks after each random step that the device reads as a plain vector does.
void expect_like_a_vector(BlockDevice& device, std::uint64_t seed) {
  Prng prng(seed);
  ByteVector model(device.size().value);
  ASSERT_DONE(device.write_zeroes(ByteOffset{0}, device.size()));
  for (int step = 0; step < 150; ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " step " << step);
    const std::uint64_t grain = prng.below(2) == 0 ? 4096 : 1;
    const std::uint64_t offset = prng.below(model.size()) / grain * grain;
    const std::uint64_t most = std::min<std::uint64_t>(model.size() - offset, 40'000);
    const std::uint64_t length = prng.below(most + 1) / grain * grain;
    const MutableByteSpan place = MutableByteSpan(model).subspan(offset, length);
    if (prng.below(3) == 0) {
      ASSERT_DONE(device.write_zeroes(ByteOffset{offset}, ByteCount{length}));
      std::ranges::fill(place, std::byte{0});
    } else {
      AlignedBuffer bytes(length + 1);
      prng.fill(bytes.span());
      ASSERT_DONE(device.write(ByteOffset{offset}, bytes.span().first(length)));
      std::ranges::copy(bytes.span().first(length), place.begin());
    }
    if (step % 10 != 0) continue;
    ByteVector out(model.size());
    ASSERT_EQ(device.read(ByteOffset{0}, out).take(), out.size());
    ASSERT_TRUE(bytes_equal(out, model));
    const std::uint64_t data = device.next_data(ByteOffset{offset}).take().value;
    ASSERT_GE(data, offset);
    ASSERT_TRUE(is_zero(MutableByteSpan(model).subspan(offset, data - offset)));
  }
  ASSERT_DONE(device.sync());
}

void expect_ranges_checked(BlockDevice& device) {
  const std::uint64_t size = device.size().value;
  const ByteVector bytes(4096);
  EXPECT_FAILS(device.write(ByteOffset{size - 4095}, bytes), ErrorCode::kInvalid);
  EXPECT_FAILS(device.write(ByteOffset{~std::uint64_t{0}}, bytes), ErrorCode::kInvalid);
  EXPECT_FAILS(device.write_zeroes(ByteOffset{0}, ByteCount{size + 1}), ErrorCode::kInvalid);
  EXPECT_FAILS(device.discard(ByteOffset{size}, ByteCount{1}), ErrorCode::kInvalid);
  ByteVector out(8192);
  EXPECT_EQ(device.read(ByteOffset{size - 4096}, out).take(), 4096U);
}

TEST(BlockDevice, AFileIsATargetOfItsSize) {
  const TemporaryDirectory directory;
  for (const std::uint64_t size : {std::uint64_t{81'920}, std::uint64_t{123'457}}) {
    auto device = BlockDevice::create_file(directory / std::to_string(size), ByteCount{size});
    ASSERT_DONE(device);
    EXPECT_FALSE(device.value()->is_device());
    EXPECT_EQ(device.value()->size().value, size);
    expect_like_a_vector(*device.value(), 40 + size);
    expect_ranges_checked(*device.value());
    EXPECT_EQ(std::filesystem::file_size(directory / std::to_string(size)), size);
  }
}

TEST(BlockDevice, ZeroesOfAFileAreHoles) {
  const TemporaryDirectory directory;
  auto device = BlockDevice::create_file(directory / "f", ByteCount{std::uint64_t{8} << 20}).take();
  ASSERT_DONE(device->write(ByteOffset{0}, random_bytes(8 << 20, 1)));
  ASSERT_DONE(device->sync());
  ASSERT_DONE(device->write_zeroes(ByteOffset{4096}, ByteCount{(std::uint64_t{8} << 20) - 8192}));
  ASSERT_DONE(device->sync());
  struct stat info {};
  ASSERT_EQ(::stat((directory / "f").c_str(), &info), 0);
  EXPECT_LE(info.st_blocks * 512, 64 * 1024);
}

TEST(BlockDevice, DataIsFoundBehindTheHolesOfAFile) {
  const TemporaryDirectory directory;
  const std::uint64_t tib = std::uint64_t{1} << 40;
  auto device = BlockDevice::create_file(directory / "f", ByteCount{tib}).take();
  EXPECT_EQ(device->next_data(ByteOffset{0}).take().value, tib);
  ASSERT_DONE(device->write(ByteOffset{tib / 2 + 5}, ByteVector(1, std::byte{1})));
  const std::uint64_t data = device->next_data(ByteOffset{4096}).take().value;
  EXPECT_LE(data, tib / 2 + 5);
  EXPECT_GT(data, tib / 2 - (std::uint64_t{1} << 20));
  EXPECT_EQ(device->next_data(ByteOffset{tib * 3 / 4}).take().value, tib);
}

// overlayfs stands for all file systems whose reported holes are not known to be right: they are read as
// data.
TEST(BlockDevice, HolesOfAnUnknownFileSystemAreRead) {
  const TemporaryDirectory directory;
  for (const char* name : {"lower", "upper", "work", "mnt"}) {
    std::filesystem::create_directory(directory / name);
  }
  const std::string options = "lowerdir=" + directory / "lower" + ",upperdir=" + directory / "upper" +
                              ",workdir=" + directory / "work";
  const std::string mount_point = directory / "mnt";
  if (::mount("overlay", mount_point.c_str(), "overlay", 0, options.c_str()) != 0) {
    GTEST_SKIP() << "no overlayfs here: needs root";
  }
  {
    auto device = BlockDevice::create_file(mount_point + "/f", ByteCount{1 << 20});
    ASSERT_DONE(device);
    EXPECT_EQ(device.value()->next_data(ByteOffset{4096}).take().value, 4096U);
  }
  EXPECT_EQ(::umount(mount_point.c_str()), 0);
}

TEST(BlockDevice, AFileIsWrittenByOneAtATimeAndReadByAny) {
  const TemporaryDirectory directory;
  auto first = BlockDevice::create_file(directory / "f", ByteCount{8192});
  ASSERT_DONE(first);
  EXPECT_FAILS(BlockDevice::open(directory / "f", DeviceAccess::kReadWrite), ErrorCode::kBusy);
  ASSERT_DONE(BlockDevice::open(directory / "f", DeviceAccess::kRead));
  std::filesystem::rename(directory / "f", directory / "g");
  EXPECT_FAILS(first.value()->check_name(), ErrorCode::kBusy);
}

TEST(BlockDevice, ANewFileTakesOnlyAFreeName) {
  const TemporaryDirectory directory;
  ASSERT_DONE(BlockDevice::create_file(directory / "f", ByteCount{10}));
  EXPECT_EQ(BlockDevice::create_file(directory / "f", ByteCount{10}).error().error_number(), EEXIST);
  EXPECT_FAILS(BlockDevice::open(directory / "none", DeviceAccess::kRead), ErrorCode::kNotFound);
  EXPECT_FAILS(BlockDevice::open(directory.path(), DeviceAccess::kRead), ErrorCode::kInvalid);
  EXPECT_FAILS(BlockDevice::open("/dev/null", DeviceAccess::kReadWrite), ErrorCode::kInvalid);
}

// The process may open one more file: the new file itself, but not the reader of it.
TEST(BlockDevice, AFileThatCannotBeMadeWholeIsTakenAway) {
  const TemporaryDirectory directory;
  rlimit usual{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
  const int next = ::dup(STDIN_FILENO);
  ::close(next);
  const rlimit tight{static_cast<rlim_t>(next) + 1, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  const auto made = BlockDevice::create_file(directory / "f", ByteCount{10});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().error_number(), EMFILE);
  EXPECT_FALSE(std::filesystem::exists(directory / "f"));
}

TEST(BlockDevice, ReadAccessDoesNotWrite) {
  const TemporaryDirectory directory;
  ASSERT_DONE(BlockDevice::create_file(directory / "f", ByteCount{8192}));
  auto device = BlockDevice::open(directory / "f", DeviceAccess::kRead).take();
  EXPECT_FAILS(device->write(ByteOffset{0}, ByteVector(4096)), ErrorCode::kIo);
  EXPECT_FAILS(device->write_zeroes(ByteOffset{0}, ByteCount{4096}), ErrorCode::kIo);
}

class LoopTarget : public ::testing::TestWithParam<unsigned> {};

TEST_P(LoopTarget, IsATargetOfItsSize) {
  const TemporaryDirectory directory;
  const auto loop = LoopDevice::over(backing_file(directory, kDeviceBytes), GetParam());
  if (!loop) GTEST_SKIP() << "no loop device on this host: needs root";
  {
    auto device = BlockDevice::open(loop->path(), DeviceAccess::kReadWrite);
    ASSERT_DONE(device);
    EXPECT_TRUE(device.value()->is_device());
    EXPECT_EQ(device.value()->size().value, kDeviceBytes);
    EXPECT_EQ(device.value()->sector_bytes(), GetParam());
    expect_like_a_vector(*device.value(), 90 + GetParam());
    expect_ranges_checked(*device.value());
  }
}

TEST_P(LoopTarget, DiscardKeepsPartsOfSectors) {
  const TemporaryDirectory directory;
  const auto loop = LoopDevice::over(backing_file(directory, kDeviceBytes), GetParam());
  if (!loop) GTEST_SKIP() << "no loop device on this host: needs root";
  auto device = BlockDevice::open(loop->path(), DeviceAccess::kReadWrite).take();
  const ByteVector bytes = random_bytes(kDeviceBytes, 4);
  ASSERT_DONE(device->write(ByteOffset{0}, bytes));
  const Status discarded = device->discard(ByteOffset{100}, ByteCount{(std::uint64_t{1} << 20) + 100});
  if (is(discarded, ErrorCode::kUnsupported)) {
    GTEST_SKIP() << "the file system under the loop device can't punch holes";
  }
  ASSERT_DONE(discarded);
  ByteVector out(kDeviceBytes);
  ASSERT_EQ(device->read(ByteOffset{0}, out).take(), out.size());
  const std::size_t sector = GetParam();
  EXPECT_TRUE(bytes_equal(ByteSpan(out).first(sector), ByteSpan(bytes).first(sector)));
  // A loop device punches a hole for a discard, so here the middle reads as zeros.
  EXPECT_TRUE(is_zero(ByteSpan(out).subspan(sector, (std::size_t{1} << 20) - sector)));
  EXPECT_TRUE(bytes_equal(ByteSpan(out).subspan((1 << 20) + 100), ByteSpan(bytes).subspan((1 << 20) + 100)));
}

TEST_P(LoopTarget, AUsedDeviceIsBusyForWritingAndOpenForReading) {
  const TemporaryDirectory directory;
  const auto loop = LoopDevice::over(backing_file(directory, kDeviceBytes), GetParam());
  if (!loop) GTEST_SKIP() << "no loop device on this host: needs root";
  auto first = BlockDevice::open(loop->path(), DeviceAccess::kReadWrite);
  ASSERT_DONE(first);
  EXPECT_FAILS(BlockDevice::open(loop->path(), DeviceAccess::kReadWrite), ErrorCode::kBusy);
  ASSERT_DONE(BlockDevice::open(loop->path(), DeviceAccess::kRead));
}

INSTANTIATE_TEST_SUITE_P(Sectors, LoopTarget, ::testing::Values(512U, 4096U),
                         [](const auto& sector) { return std::to_string(sector.param); });

}  // namespace
}  // namespace ashlar
