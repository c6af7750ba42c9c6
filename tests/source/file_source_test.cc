#include <algorithm>
#include <condition_variable>

#include "source/source.h"
#include "source_rig.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

TEST(FileSource, HolesAreUnallocatedAndDataIsRead) {
  const TempDir dir;
  make_file(dir / "disk", 64 * kMiB);
  write_at(dir / "disk", 8 * kMiB, random_bytes(3 * kMiB, 1));
  write_at(dir / "disk", 40 * kMiB, random_bytes(kBlockBytes, 2));
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  EXPECT_EQ(source->type(), SourceType::kFile);
  EXPECT_EQ(source->size()->value, 64 * kMiB);

  std::uint64_t data = 0;
  const ByteVector truth = file_bytes(dir / "disk");
  for (const SourceExtent& extent : extents_of(*source)) {
    const ByteSpan there = ByteSpan(truth).subspan(extent.offset.value, extent.bytes.value);
    if (extent.state == SourceState::kData) data += extent.bytes.value;
    EXPECT_TRUE(extent.state == SourceState::kData || is_zero(there)) << extent.offset.value;
  }
  EXPECT_GE(data, 3 * kMiB + kBlockBytes);
  EXPECT_LT(data, 8 * kMiB) << "the holes of this file system should have been seen";
  EXPECT_EQ(read_whole(*source, 3).bytes, truth);
}

// Random data lies at random byte offsets of files of odd sizes: every range that the extents do not call
// data must be zeros.
TEST(FileSource, PropertyNoDataIsLostInAHole) {
  const std::uint64_t seed = random_u64();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Prng random(seed);
  for (int round = 0; round < 20; ++round) {
    const TempDir dir;
    const std::uint64_t size = 1 + random.below(12 * kMiB);
    make_file(dir / "disk", size);
    for (std::uint64_t i = random.below(6); i > 0; --i) {
      const std::uint64_t at = random.below(size);
      write_at(dir / "disk", at, random_bytes(std::min(size - at, 1 + random.below(100000)), random.next()));
    }
    const ByteVector truth = file_bytes(dir / "disk");
    const std::unique_ptr<Source> source = must_open(dir / "disk");
    ByteVector rebuilt(size);
    for (const SourceExtent& extent : extents_of(*source)) {
      if (extent.state != SourceState::kData) continue;
      std::copy_n(truth.begin() + static_cast<std::ptrdiff_t>(extent.offset.value), extent.bytes.value,
                  rebuilt.begin() + static_cast<std::ptrdiff_t>(extent.offset.value));
    }
    ASSERT_EQ(rebuilt, truth);
    const std::uint64_t run_bytes = kBlockBytes * (1 + random.below(kLeafBlocks));
    ASSERT_EQ(read_whole(*source, 1 + static_cast<unsigned>(random.below(4)), run_bytes).bytes,
              padded(truth));
  }
}

TEST(FileSource, AnEmptyFileHasNothing) {
  const TempDir dir;
  make_file(dir / "disk", 0);
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  EXPECT_EQ(source->size()->value, 0U);
  EXPECT_EQ(read_whole(*source, 2).runs, 0U);
}

TEST(FileSource, ManyThreadsGetEveryRunOnceAndTheRightBytes) {
  const TempDir dir;
  make_file(dir / "disk", 0);
  const ByteVector truth = random_bytes(24 * kMiB + 777, 3);
  write_at(dir / "disk", 0, truth);
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  const Contents contents = read_whole(*source, 8, kRegionBytes);
  EXPECT_EQ(contents.bytes, padded(truth));
  EXPECT_EQ(contents.runs, 385U) << "24 MiB and 777 bytes, by 64 KiB";
}

TEST(FileSource, AShrinkingFileIsAnErrorAndNeverZeros) {
  const TempDir dir;
  make_file(dir / "disk", 0);
  write_at(dir / "disk", 0, random_bytes(16 * kMiB, 4));
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  std::filesystem::resize_file(dir / "disk", 10 * kMiB + 5);
  const Contents contents = read_whole(*source, 2);
  ASSERT_EQ(contents.errors.size(), 2U) << "both threads learn of it";
  for (const std::string& error : contents.errors) {
    EXPECT_NE(error.find("source shrank while it was read (was 16777216 bytes, is 10485765)"),
              std::string::npos)
        << error;
  }
  EXPECT_TRUE(contents.unreadable.empty());
  EXPECT_FALSE(source->next_extent(ByteOffset{0}).ok()) << "what was cut off must not look like a hole";
  EXPECT_FALSE(source->next_extent(ByteOffset{12 * kMiB}).ok());
}

TEST(FileSource, AGrowingFileKeepsTheSizeItWasOpenedWith) {
  const TempDir dir;
  make_file(dir / "disk", 0);
  const ByteVector truth = random_bytes(5 * kMiB + 100, 5);
  write_at(dir / "disk", 0, truth);
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  write_at(dir / "disk", truth.size(), random_bytes(3 * kMiB, 6));
  EXPECT_EQ(read_whole(*source, 2).bytes, padded(truth));
  EXPECT_EQ(extents_of(*source).back().offset.value + extents_of(*source).back().bytes.value, truth.size());
}

TEST(FileSource, TheIdentitySurvivesACopyOverTheFileAndSymbolicLinks) {
  const TempDir dir;
  make_file(dir / "vm1.raw", 8192);
  const std::string before = must_open(dir / "vm1.raw")->identity();
  make_file(dir / "fresh", 8192);
  std::filesystem::rename(dir / "fresh", dir / "vm1.raw");
  std::filesystem::create_symlink(dir / "vm1.raw", dir / "link");
  EXPECT_EQ(must_open(dir / "vm1.raw")->identity(), before);
  EXPECT_EQ(must_open(dir / "link")->identity(), before);
  make_file(dir / "vm2.raw", 8192);
  EXPECT_NE(must_open(dir / "vm2.raw")->identity(), before);
}

TEST(FileSource, KeptRunsHoldUpLaterOnesOnly) {
  const TempDir dir;
  make_file(dir / "disk", (RunReader::kRunBuffers + 2) * kBlockBytes);
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  const std::unique_ptr<RunReader> reader =
      source->read(whole_plan(source->size()->value, kBlockBytes)).take();
  std::vector<ashlar::Run> kept;
  for (std::size_t i = 0; i < RunReader::kRunBuffers; ++i) kept.push_back(std::move(*reader->next().take()));
  std::atomic<std::uint64_t> later{0};
  std::jthread waiting([&] { later = reader->next().take()->ordinal; });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(later, 0U) << "there are no more buffers than kRunBuffers";
  kept.pop_back();
  waiting.join();
  EXPECT_EQ(later, RunReader::kRunBuffers);
}

TEST(FileSource, ARunOutlivesItsReaderAndItsSource) {
  const TempDir dir;
  make_file(dir / "disk", 0);
  const ByteVector truth = random_bytes(kBlockBytes, 7);
  write_at(dir / "disk", 0, truth);
  std::optional<ashlar::Run> run;
  {
    const std::unique_ptr<Source> source = must_open(dir / "disk");
    const std::unique_ptr<RunReader> reader = source->read(whole_plan(kBlockBytes)).take();
    run = reader->next().take();
  }
  EXPECT_TRUE(bytes_equal(run->bytes, truth));
}

TEST(FileSource, AnErrorOfThePlanReachesEveryThread) {
  const TempDir dir;
  make_file(dir / "disk", kMiB);
  const std::unique_ptr<Source> source = must_open(dir / "disk");
  const std::unique_ptr<RunReader> reader =
      source->read([]() -> Result<std::optional<RunRequest>> { return cancelled(); }).take();
  EXPECT_EQ(drain(*reader, kMiB, 4).errors.size(), 4U);
  EXPECT_EQ(reader->next().error().code(), ErrorCode::kCancelled);
}

TEST(OpenSource, SaysWhatIsWrongWithAPath) {
  const TempDir dir;
  const SourceOptions none;
  EXPECT_EQ(open_source(dir / "nothing", none).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(open_source(dir.path(), none).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(open_source("/dev/null", none).error().code(), ErrorCode::kInvalid);
  make_file(dir / "disk", 10);
  EXPECT_EQ(open_source(dir / "disk", {"bitmap0"}).error().code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace ashlar
