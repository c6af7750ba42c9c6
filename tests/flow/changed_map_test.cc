// Tests of changed-block maps, which are hints: a right map saves reading, a wrong one costs time, and
// neither changes the result.
#include "flow/world.h"

namespace ashlar {
namespace {

class ChangedMapFlow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{directory_.path() + "/store"}, {}));
    ASSERT_OK(world_.open());
    Prng prng(21);
    std::vector<std::byte> data(48 << 20);
    prng.fill(data);
    image_.write(0, data);
    CaptureOptions options;
    options.change_token = "gen-1";
    const auto first = world_.capture_file(image_.path(), options);
    ASSERT_OK(first);
    parent_ = first.value().record;
  }

  Result<CaptureReport> capture_with(std::vector<SourceExtent> changed, const std::string& since) {
    CaptureOptions options;
    options.parent = parent_;
    options.changed = ChangedMap{std::move(changed), since};
    options.change_token = "gen-2";
    return world_.capture_file(image_.path(), options);
  }
  void write_random(std::uint64_t offset, std::size_t bytes) {
    std::vector<std::byte> data(bytes);
    Prng(offset + 1).fill(data);
    image_.write(offset, data);
  }

  TemporaryDirectory directory_;
  World world_{posix_file_system(), directory_.path() + "/store"};
  Image image_{directory_.path() + "/image", (64 << 20) + 4096};
  SnapshotRecord parent_;
};

TEST_F(ChangedMapFlow, ARightMapReadsTheChangeAndFindsTheSameTree) {
  write_random(5'000'000, 9000);
  write_random(30'000'000, 100);
  const auto by_map = capture_with({{ByteOffset{4'997'120}, ByteCount{16384}, SourceState::kData},
                                    {ByteOffset{29'999'104}, ByteCount{4096}, SourceState::kData}},
                                   "gen-1");
  ASSERT_OK(by_map);
  EXPECT_TRUE(by_map.value().warnings.empty());
  EXPECT_LE(by_map.value().read_bytes.value, 20 * kRegionBytes) << "two changes and the audit's sample";
  CaptureOptions scan;
  scan.parent = parent_;
  const auto by_scan = world_.capture_file(image_.path(), scan);
  ASSERT_OK(by_scan);
  EXPECT_EQ(by_map.value().record.root, by_scan.value().record.root);
  EXPECT_EQ(by_map.value().record.data_blocks, by_scan.value().record.data_blocks);
  EXPECT_EQ(by_map.value().record.zero_blocks, by_scan.value().record.zero_blocks);
  EXPECT_EQ(by_map.value().record.unallocated_blocks, by_scan.value().record.unallocated_blocks);
}

TEST_F(ChangedMapFlow, AMapOfAnotherGenerationIsNotUsed) {
  write_random(0, 100);
  const auto report = capture_with({}, "gen-0");
  ASSERT_OK(report);
  ASSERT_EQ(report.value().warnings.size(), 1U);
  EXPECT_NE(report.value().warnings[0].find("not used"), std::string::npos);
  const auto full = world_.capture_file(image_.path());
  ASSERT_OK(full);
  EXPECT_EQ(report.value().record.content, full.value().record.content);
}

TEST_F(ChangedMapFlow, AMapThatLiesIsFoundOutByTheAudit) {
  write_random(0, 47 << 20);  // all data changed, and the map says that none did
  const auto report = capture_with({}, "gen-1");
  ASSERT_OK(report);
  ASSERT_EQ(report.value().warnings.size(), 1U);
  EXPECT_NE(report.value().warnings[0].find("WRONG"), std::string::npos);
  const auto full = world_.capture_file(image_.path());
  ASSERT_OK(full);
  EXPECT_EQ(report.value().record.content, full.value().record.content);
}

TEST_F(ChangedMapFlow, AMapThatMissesWritesIntoAHoleIsFoundOut) {
  write_random(49 << 20, 14 << 20);  // this range was a hole
  const auto report = capture_with({}, "gen-1");
  ASSERT_OK(report);
  ASSERT_EQ(report.value().warnings.size(), 1U);
  EXPECT_NE(report.value().warnings[0].find("WRONG"), std::string::npos);
  const auto full = world_.capture_file(image_.path());
  ASSERT_OK(full);
  EXPECT_EQ(report.value().record.content, full.value().record.content);
}

// In a leaf with more than four changed stretches the gaps are read too. The bytes read there count, whatever
// the map says, and is not lost to a later capture that compares region hashes.
TEST_F(ChangedMapFlow, AChangeInAGapThatTheMapMissesIsFoundOut) {
  std::vector<SourceExtent> changed;
  for (std::uint64_t region = 0; region < 12; region += 2) {
    write_random(region * kRegionBytes, 100);
    changed.push_back({ByteOffset{region * kRegionBytes}, ByteCount{100}, SourceState::kData});
  }
  for (const std::size_t zeros : {std::size_t{0}, kRegionBytes}) {
    write_random(5 * kRegionBytes + 4096, 20);
    if (zeros > 0) image_.write(7 * kRegionBytes, std::vector<std::byte>(zeros));
    const auto report = capture_with(changed, "gen-1");
    ASSERT_OK(report);
    ASSERT_EQ(report.value().warnings.size(), 1U);
    EXPECT_NE(report.value().warnings[0].find("WRONG"), std::string::npos);
    CaptureOptions later;
    later.parent = report.value().record;
    const auto scan = world_.capture_file(image_.path(), later);
    ASSERT_OK(scan);
    const auto full = world_.capture_file(image_.path());
    ASSERT_OK(full);
    EXPECT_EQ(report.value().record.content, full.value().record.content);
    EXPECT_EQ(scan.value().record.content, full.value().record.content);
    parent_ = report.value().record;
    parent_.change_token = "gen-1";
  }
}

TEST_F(ChangedMapFlow, ZerosOfTheParentStayZerosBesideAChange) {
  const std::uint64_t leaf = 48 << 20;  // behind the data: read as zeros once the holes are filled
  image_.write(leaf, std::vector<std::byte>(8 << 20));
  CaptureOptions options;
  options.change_token = "gen-1";
  const auto zeros = world_.capture_file(image_.path(), options);
  ASSERT_OK(zeros);
  parent_ = zeros.value().record;
  write_random(leaf + kRegionBytes, 100);
  const auto by_map =
      capture_with({{ByteOffset{leaf + kRegionBytes}, ByteCount{100}, SourceState::kData}}, "gen-1");
  ASSERT_OK(by_map);
  const auto full = world_.capture_file(image_.path());
  ASSERT_OK(full);
  EXPECT_EQ(by_map.value().record.zero_blocks, full.value().record.zero_blocks);
  EXPECT_EQ(by_map.value().record.unallocated_blocks, full.value().record.unallocated_blocks);
}

TEST_F(ChangedMapFlow, AMapThatStartsNowhereIsNotUsed) {
  CaptureOptions untold;
  const auto parent = world_.capture_file(image_.path(), untold);
  ASSERT_OK(parent);
  parent_ = parent.value().record;
  write_random(0, 100);
  const auto report = capture_with({}, "");
  ASSERT_OK(report);
  ASSERT_EQ(report.value().warnings.size(), 1U);
  EXPECT_NE(report.value().warnings[0].find("not used"), std::string::npos);
}

TEST_F(ChangedMapFlow, AGrownVolumeIsReadBehindTheParentsEnd) {
  image_.resize(90 << 20);
  write_random(80 << 20, 70000);
  write_random(1 << 20, 10);
  const auto by_map = capture_with({{ByteOffset{1 << 20}, ByteCount{10}, SourceState::kData}}, "gen-1");
  ASSERT_OK(by_map);
  const auto full = world_.capture_file(image_.path());
  ASSERT_OK(full);
  EXPECT_EQ(by_map.value().record.content, full.value().record.content);
  EXPECT_EQ(by_map.value().record.unallocated_blocks, full.value().record.unallocated_blocks);
  EXPECT_EQ(by_map.value().record.data_blocks, full.value().record.data_blocks);
}

TEST_F(ChangedMapFlow, AShrunkVolumeCountsRight) {
  image_.resize((33 << 20) + 512);
  const auto by_map = capture_with({}, "gen-1");
  ASSERT_OK(by_map);
  const auto full = world_.capture_file(image_.path());
  ASSERT_OK(full);
  EXPECT_EQ(by_map.value().record.content, full.value().record.content);
  EXPECT_EQ(by_map.value().record.data_blocks, full.value().record.data_blocks);
}

}  // namespace
}  // namespace ashlar
