// Tests of a store that fails under reads: a read returns an error or the right bytes, never zeros, and the
// right bytes once the store works again.
#include <thread>

#include "flow/volumes.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kImageBytes = 24 << 20;
constexpr std::uint64_t kStep = 64 << 10;

class VolumeFaults : public testing::TestWithParam<Fault> {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{directory_ / "store"}, {}));
    ASSERT_OK(world_.open());
    Image image(directory_ / "image", kImageBytes);
    std::vector<std::byte> noise(kImageBytes);
    Prng(1).fill(noise);
    image.write(0, noise);
    truth_ = image.model();
    snapshot_ = world_.capture_file(image.path()).take().record;
  }

  // Reads the whole volume in steps, checks the bytes of each successful read, and returns how many reads
  // failed.
  std::size_t failures(Volume& volume) {
    std::size_t failed = 0;
    std::vector<std::byte> out(kStep);
    for (std::uint64_t at = 0; at < kImageBytes; at += kStep) {
      if (!volume.read(ByteOffset{at}, out).ok()) {
        ++failed;
      } else {
        EXPECT_TRUE(bytes_equal(out, ByteSpan(truth_).subspan(at, kStep))) << at;
      }
    }
    return failed;
  }

  TemporaryDirectory directory_;
  World world_{posix_file_system(), directory_ / "store"};
  SnapshotRecord snapshot_;
  std::vector<std::byte> truth_;
};

TEST_P(VolumeFaults, FailNowAndWorkLater) {
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "volume", snapshot_);
  serving.remote.fault = GetParam();
  EXPECT_EQ(failures(*volume), kImageBytes / kStep);
  EXPECT_EQ(volume->overlay().counters().clean.value, 0U) << "nothing of that is kept";
  serving.remote.fault = Fault::kNone;
  EXPECT_EQ(failures(*volume), 0U);
}

TEST_P(VolumeFaults, ComeAndGoWhileManyRead) {
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "volume", snapshot_);
  {
    const std::jthread weather([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        serving.remote.fault = GetParam();
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
        serving.remote.fault = Fault::kNone;
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    });
    std::vector<std::jthread> readers;
    for (int i = 0; i < 4; ++i) readers.emplace_back([&] { failures(*volume); });
  }
  serving.remote.fault = Fault::kNone;
  EXPECT_EQ(failures(*volume), 0U);
}

// Blocks that the overlay holds are served without the store, and whole blocks are written without it.
TEST_P(VolumeFaults, DoNotReachWhatIsHere) {
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "volume", snapshot_);
  std::vector<std::byte> out(kStep);
  ASSERT_OK(volume->read(ByteOffset{kStep}, out));
  serving.remote.fault = GetParam();
  ASSERT_OK(volume->read(ByteOffset{kStep}, out));
  std::vector<std::byte> noise(kStep);
  Prng(2).fill(noise);
  ASSERT_OK(volume->write(ByteOffset{4 * kStep}, noise));
  ASSERT_OK(volume->flush());
  ASSERT_OK(volume->read(ByteOffset{4 * kStep}, out));
  EXPECT_TRUE(out == noise);
  EXPECT_FALSE(volume->write(ByteOffset{8 * kStep + 1}, ByteSpan(noise).first(100)).ok())
      << "the rest of that block is in the store";
  serving.remote.fault = Fault::kNone;
  ASSERT_OK(volume->read(ByteOffset{8 * kStep}, out));
  EXPECT_TRUE(bytes_equal(out, ByteSpan(truth_).subspan(8 * kStep, kStep)))
      << "the refused write did nothing";
}

INSTANTIATE_TEST_SUITE_P(Kinds, VolumeFaults,
                         testing::Values(Fault::kError, Fault::kShort, Fault::kWrongBytes));

}  // namespace
}  // namespace ashlar
