// Tests that what exports say of their ranges is true of every block.
#include "serve/volume_export.h"

#include <future>

#include "flow/bad_sectors.h"
#include "flow/volumes.h"
#include "flow/world.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kBlocks = 9000;
constexpr std::uint64_t kTornBlocks = 5000;  // every other one of these is lost: 5000 runs in the snapshot

struct BlockState {
  bool is_hole = false;
  bool is_zero = false;
  bool is_dirty = false;
  friend bool operator==(const BlockState&, const BlockState&) = default;
};

class VolumeExports : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{directory_ / "store"}, {}));
    ASSERT_OK(world_.open());
    Image image(directory_ / "image", kBlocks * kBlockBytes);
    std::vector<std::byte> noise(kBlocks * kBlockBytes);
    Prng(1).fill(noise);
    model_.resize(kBlocks);
    for (std::uint64_t block = 6000; block < 6100; ++block) {
      std::memset(noise.data() + block * kBlockBytes, 0, kBlockBytes);
      model_[block].is_zero = true;
    }
    image.write(0, noise);
    std::vector<std::uint64_t> bad;
    for (std::uint64_t block = 1; block < kTornBlocks; block += 2) bad.push_back(block);
    BadSectors source(open_source(image.path(), {}).take(), bad);
    CaptureOptions options;
    options.skip_unreadable = true;
    auto report = world_.capture_source(source, options);
    ASSERT_OK(report);
    snapshot_ = report.value().record;
    ASSERT_EQ(snapshot_.unreadable_blocks.value, bad.size());
    serving_.emplace(world_);
  }

  static std::vector<ExportExtent> extents(Export& exported, std::uint64_t offset, std::uint64_t bytes,
                                           std::size_t most) {
    std::vector<ExportExtent> out;
    std::promise<Status> done;
    exported.extents(ByteOffset{offset}, ByteCount{bytes}, most, out,
                     [&](Status status) { done.set_value(std::move(status)); });
    const Status status = done.get_future().get();
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().text());
    return out;
  }

  void expect_true(Export& exported, std::uint64_t offset, std::uint64_t bytes, std::size_t most) {
    SCOPED_TRACE(fmt::format("{} bytes at {}, at most {}", bytes, offset, most));
    const auto told = extents(exported, offset, bytes, most);
    ASSERT_FALSE(told.empty());
    ASSERT_LE(told.size(), most);
    std::uint64_t at = offset;
    for (const ExportExtent& extent : told) {
      ASSERT_GT(extent.bytes.value, 0U);
      const std::uint64_t end = at + extent.bytes.value;
      for (std::uint64_t block = at / kBlockBytes; block * kBlockBytes < end; ++block) {
        const BlockState state{extent.is_hole, extent.is_zero, extent.is_dirty};
        ASSERT_TRUE(state == model_[block]) << "block " << block;
      }
      at = end;
    }
    EXPECT_LE(at, offset + bytes);
    if (told.size() < most) {
      EXPECT_EQ(at, offset + bytes);
    }
  }

  TemporaryDirectory directory_;
  World world_{posix_file_system(), directory_ / "store"};
  std::optional<Serving> serving_;
  SnapshotRecord snapshot_;
  std::vector<BlockState> model_;
  ExportPools pools_;
};

TEST_F(VolumeExports, ASnapshotTellsTheTruthOfEveryBlock) {
  SnapshotExport exported(serving_->image(snapshot_), pools_);
  for (const std::size_t most : {1, 2, 16, 2048}) {
    expect_true(exported, 0, kBlocks * kBlockBytes, most);
    expect_true(exported, 4990 * kBlockBytes + 100, 3000 * kBlockBytes, most);
  }
}

// The extents are right for runs of the overlay that lie after thousands of runs of the snapshot, and among
// them.
TEST_F(VolumeExports, AVolumeTellsTheTruthOfEveryBlock) {
  const std::shared_ptr<Volume> volume = serving_->volume(directory_, "volume", snapshot_);
  VolumeExport exported(volume, pools_);
  ASSERT_OK(volume->write_zeroes(ByteOffset{5500 * kBlockBytes}, ByteCount{300 * kBlockBytes}, true));
  for (std::uint64_t block = 5500; block < 5800; ++block) model_[block] = {true, true, true};
  expect_true(exported, 0, kBlocks * kBlockBytes, 2048);

  Prng prng(2);
  std::vector<std::byte> bytes(64 * kBlockBytes);
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t first = prng.below(kBlocks - 64);
    const std::uint64_t count = 1 + prng.below(63);
    const MutableByteSpan part = MutableByteSpan(bytes).first(count * kBlockBytes);
    if (prng.below(2) == 0) {
      ASSERT_OK(volume->write(ByteOffset{first * kBlockBytes}, part));
      for (std::uint64_t block = first; block < first + count; ++block) model_[block] = {false, false, true};
    } else {
      ASSERT_OK(volume->write_zeroes(ByteOffset{first * kBlockBytes}, ByteCount{count * kBlockBytes}, true));
      for (std::uint64_t block = first; block < first + count; ++block) model_[block] = {true, true, true};
    }
    const std::uint64_t offset = prng.below(kBlocks * kBlockBytes);
    const std::uint64_t length = 1 + prng.below(kBlocks * kBlockBytes - offset);
    const std::size_t most = 1 + prng.below(prng.below(2) == 0 ? 20 : 3000);
    expect_true(exported, offset, length, most);
  }
}

// A caller who asks for extents does not wait for the store: the answer comes from a thread of the export.
TEST_F(VolumeExports, TheStoreIsAskedFromAThreadOfTheExport) {
  const std::shared_ptr<Volume> volume = serving_->volume(directory_, "volume", snapshot_);
  VolumeExport exported(volume, pools_);
  serving_->remote.delay = std::chrono::milliseconds(200);
  std::vector<ExportExtent> out;
  std::promise<std::thread::id> done;
  const auto began = std::chrono::steady_clock::now();
  exported.extents(ByteOffset{0}, ByteCount{kBlocks * kBlockBytes}, 16, out,
                   [&](const Status&) { done.set_value(std::this_thread::get_id()); });
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(150));
  EXPECT_NE(done.get_future().get(), std::this_thread::get_id());
}

}  // namespace
}  // namespace ashlar
