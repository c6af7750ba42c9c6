// Tests of restores that have to fail: of trees that lie about their size, and of snapshots that lost blocks.
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "flow/bad_sectors.h"
#include "flow/world.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class RestoreFlow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
  }
  std::string file(const std::string& name) const { return directory_.path() + "/" + name; }
  SnapshotRecord captured(const Image& image) {
    auto report = world_.capture_file(image.path());
    if (!report.ok()) ADD_FAILURE() << report.error().text();
    return report.ok() ? report.value().record : SnapshotRecord{};
  }
  Image noise(const std::string& name, std::uint64_t size, std::uint64_t seed) const {
    Image image(file(name), size);
    std::vector<std::byte> bytes(size);
    Prng(seed).fill(bytes);
    image.write(0, bytes);
    return image;
  }
  Status stream_to(const SnapshotRecord& snapshot, const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    RestoreProgress progress;
    TRY(restore_stream({*TRY(world_.repo().segments()), *TRY(world_.repo().nodes())}, snapshot, fd.get(),
                       progress, {}));
    return {};
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_.path() + "/store";
  World world_{posix_file_system(), store_};
};

TEST_F(RestoreFlow, TwoSnapshotsDoNotMeetUnderOneNewName) {
  const Image one = noise("one", 8 * kMiB, 1);
  const Image two = noise("two", 8 * kMiB, 2);
  const SnapshotRecord first = captured(one);
  const SnapshotRecord second = captured(two);
  const auto target = Target::open(file("out"), first.size, false).take();
  const auto beside = world_.restore_to(second, file("out"));
  ASSERT_FALSE(beside.ok());
  EXPECT_EQ(beside.error().code(), ErrorCode::kBusy);
  RestoreProgress progress;
  ASSERT_OK(restore(world_.repo().read_parts().take(), first, *target, {}, progress, {}));
  EXPECT_TRUE(file_bytes(file("out")) == one.model());
  EXPECT_FALSE(std::filesystem::exists(partial_name(file("out"))));
}

// A sound leaf does not fit a record of another size: blocks that the leaf does not cover must not be
// restored as zeros.
TEST_F(RestoreFlow, ALeafOfTheWrongSizeIsDamageEverywhere) {
  const Image image = noise("image", 2 * kMiB, 3);
  for (const std::uint64_t size : {4 * kMiB, kMiB, 2 * kMiB + 1}) {
    SCOPED_TRACE(size);
    SnapshotRecord record = captured(image);
    record.size = ByteCount{size};
    for (const bool delta : {false, true}) {
      RestoreOptions options;
      options.delta = delta;
      const auto restored = world_.restore_to(record, file("out"), options);
      ASSERT_FALSE(restored.ok());
      EXPECT_EQ(restored.error().code(), ErrorCode::kCorrupt) << restored.error().text();
      EXPECT_FALSE(std::filesystem::exists(file("out")));
      std::filesystem::remove(partial_name(file("out")));
    }
    const Status streamed = stream_to(record, file("stream"));
    ASSERT_FALSE(streamed.ok());
    EXPECT_EQ(streamed.error().code(), ErrorCode::kCorrupt);
    Image target(file("target"), size);
    const auto compared = world_.compare_with(record, target.path());
    ASSERT_FALSE(compared.ok());
    EXPECT_EQ(compared.error().code(), ErrorCode::kCorrupt);
  }
}

class Losses : public RestoreFlow {
 protected:
  static constexpr std::uint64_t kSize = 9 * kMiB + 700;
  const std::vector<std::uint64_t> bad_ = {7, 8, 1500, kSize / kBlockBytes};

  void SetUp() override {
    RestoreFlow::SetUp();
    image_ = std::make_unique<Image>(noise("image", kSize, 4));
    BadSectors source(open_source(image_->path(), {}).take(), bad_);
    CaptureOptions options;
    options.skip_unreadable = true;
    const auto report = world_.capture_source(source, options);
    ASSERT_OK(report);
    snapshot_ = report.value().record;
    ASSERT_EQ(snapshot_.unreadable_blocks.value, bad_.size());
  }
  // Returns the image's bytes, with those of `lost` in place of the lost blocks.
  std::vector<std::byte> expected(const std::vector<std::byte>& lost) const {
    std::vector<std::byte> bytes = image_->model();
    for (const std::uint64_t block : bad_) {
      const std::uint64_t at = block * kBlockBytes;
      std::copy_n(lost.begin() + static_cast<std::ptrdiff_t>(at), std::min(kBlockBytes, kSize - at),
                  bytes.begin() + static_cast<std::ptrdiff_t>(at));
    }
    return bytes;
  }
  void expect_named(const Result<RestoreReport>& result, const std::string& where) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code(), ErrorCode::kCorrupt);
    for (const std::string& part :
         {std::string("bytes 28672 to 36863, 6144000 to 6148095, 9437184 to 9437883 "), where}) {
      EXPECT_NE(result.error().text().find(part), std::string::npos) << result.error().text();
    }
  }

  std::unique_ptr<Image> image_;
  SnapshotRecord snapshot_;
};

TEST_F(Losses, ANewFileGetsAllThatIsLeftButNotItsName) {
  const std::vector<std::byte> zeros(kSize);
  const std::string partial = partial_name(file("out"));
  expect_named(world_.restore_to(snapshot_, file("out")), partial);
  EXPECT_FALSE(std::filesystem::exists(file("out")));
  EXPECT_TRUE(file_bytes(partial) == expected(zeros));
  // A partial file may be left over from a restore of another snapshot: in the restore's own file the lost
  // ranges are emptied.
  std::vector<std::byte> garbage(kSize);
  Prng(5).fill(garbage);
  std::ofstream(partial, std::ios::binary)
      .write(reinterpret_cast<const char*>(garbage.data()), static_cast<std::streamsize>(kSize));
  expect_named(world_.restore_to(snapshot_, file("out")), partial);
  EXPECT_FALSE(std::filesystem::exists(file("out")));
  EXPECT_TRUE(file_bytes(partial) == expected(zeros));
  // A restore of a later snapshot without losses completes the file.
  const auto healed = world_.capture_file(image_->path());
  ASSERT_OK(healed);
  const auto restored = world_.restore_to(healed.value().record, file("out"));
  ASSERT_OK(restored);
  EXPECT_EQ(restored.value().written_bytes.value, 3 * kBlockBytes + 700);
  EXPECT_TRUE(file_bytes(file("out")) == image_->model());
}

TEST_F(Losses, AnExistingTargetKeepsWhatItHeldThere) {
  for (const bool delta : {false, true}) {
    SCOPED_TRACE(delta);
    const Image before = noise("target", kSize, 6);
    RestoreOptions options;
    options.delta = delta;
    expect_named(world_.restore_to(snapshot_, before.path(), options), before.path() + " keeps");
    EXPECT_TRUE(file_bytes(before.path()) == expected(before.model()));
    const auto different = world_.compare_with(snapshot_, before.path());
    ASSERT_OK(different);
    EXPECT_EQ(different.value().size(), 3U);
  }
}

TEST_F(Losses, AStreamEndsBeforeTheFirst) {
  const Status streamed = stream_to(snapshot_, file("stream"));
  ASSERT_FALSE(streamed.ok());
  EXPECT_EQ(streamed.error().code(), ErrorCode::kCorrupt);
  EXPECT_LE(std::filesystem::file_size(file("stream")), 7 * kBlockBytes);
}

}  // namespace
}  // namespace ashlar
