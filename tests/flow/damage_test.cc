// Tests that flip bits in every file of a store: verify finds and names each one, unless the bytes are proven
// dead.
#include <algorithm>
#include <optional>
#include <set>

#include "flow/world.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

class DamageFlow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    Prng prng(41);
    for (int i = 0; i < 10; ++i) image_.edit(prng);
    const auto first = world_.capture_file(image_.path());
    ASSERT_OK(first);
    snapshot_ = first.value().record;
    ASSERT_OK(world_.open());
    ASSERT_OK(world_.repo().index());
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_.path() + "/store";
  World world_{posix_file_system(), store_};
  Image image_{directory_.path() + "/image", 12 << 20};
  SnapshotRecord snapshot_;
};

TEST_F(DamageFlow, EveryFlippedByteOfPacksAndRecordsIsFoundAndNamed) {
  Prng prng(42);
  for (const char* folder : {"packs", "meta", "snapshots"}) {
    for (const std::string& path : files_below(store_ + "/" + folder)) {
      const std::uint64_t size = fs::file_size(path);
      // The structures at both ends of the file are tested byte by byte, the middle by random samples.
      std::set<std::uint64_t> offsets;
      for (std::uint64_t i = 0; i < std::min<std::uint64_t>(size, 130); ++i)
        offsets.insert({i, size - 1 - i});
      for (int i = 0; i < 60; ++i) offsets.insert(prng.below(size));
      for (const std::uint64_t offset : offsets) {
        SCOPED_TRACE(path + " byte " + std::to_string(offset));
        flip(path, offset);
        const auto report = world_.verify();
        flip(path, offset);
        ASSERT_OK(report);
        ASSERT_FALSE(report.value().damages.empty());
        const std::string key = path.substr(store_.size() + 1);
        bool named = false;
        bool lost = false;
        for (const Damage& damage : report.value().damages) {
          named = named || damage.object == key;
          for (const auto& loss : damage.losses) lost = lost || loss.snapshot == snapshot_.id;
        }
        EXPECT_TRUE(named);
        EXPECT_TRUE(lost) << "and the snapshot that it hits";
      }
    }
  }
  const auto sound = world_.verify();
  ASSERT_OK(sound);
  EXPECT_TRUE(sound.value().damages.empty());
}

TEST_F(DamageFlow, AMissingPackIsNeverZeros) {
  const auto packs = files_below(store_ + "/packs");
  ASSERT_FALSE(packs.empty());
  fs::remove(packs[0]);
  ASSERT_OK(world_.open());
  const auto restored = world_.restore_to(snapshot_, directory_.path() + "/out");
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(fs::exists(directory_.path() + "/out"));
  const auto report = world_.verify();
  ASSERT_OK(report);
  ASSERT_FALSE(report.value().damages.empty());
  EXPECT_EQ(report.value().damages[0].losses.at(0).snapshot, snapshot_.id);
}

TEST_F(DamageFlow, ADamagedIndexIsRebuiltAndAnswersTheSame) {
  for (const std::string& path : files_below(world_.repo().host().index())) {
    if (fs::file_size(path) == 0) continue;
    SCOPED_TRACE(path);
    fs::remove_all(directory_.path() + "/copy");
    fs::copy(store_, directory_.path() + "/copy", fs::copy_options::recursive);
    const std::string inside = directory_.path() + "/copy" + path.substr(store_.size());
    for (std::uint64_t offset = 0; offset < fs::file_size(inside); offset += 97) flip(inside, offset);
    World copy(posix_file_system(), directory_.path() + "/copy");
    ASSERT_OK(copy.open());
    ASSERT_OK(copy.repo().host().claim());  // else the copy would keep its index in memory
    const auto again = copy.capture_file(image_.path());
    ASSERT_OK(again);
    EXPECT_EQ(again.value().record.root, snapshot_.root);
    EXPECT_EQ(again.value().record.new_blocks.value, 0U);
  }
}

// A capture of an unchanged source must not rely on data that the store has lost; it stores the data again.
TEST_F(DamageFlow, ACaptureAfterALostPackBringsTheDataBack) {
  for (const std::string& path : files_below(store_ + "/packs")) fs::remove(path);
  ASSERT_OK(world_.open());
  CaptureOptions options;
  options.parent = snapshot_;
  const auto again = world_.capture_file(image_.path(), options);
  ASSERT_OK(again);
  ASSERT_EQ(again.value().warnings.size(), 1U);
  EXPECT_NE(again.value().warnings[0].find("lost"), std::string::npos);
  EXPECT_EQ(again.value().record.content, snapshot_.content);
  ASSERT_OK(world_.open());
  const auto verified = world_.verify();
  ASSERT_OK(verified);
  EXPECT_TRUE(verified.value().damages.empty()) << "of the old snapshot too: the segments have the same ids";
  const auto differences = world_.compare_with(again.value().record, image_.path());
  ASSERT_OK(differences);
  EXPECT_TRUE(differences.value().empty());
}

// Damages the packs that a parent stands on, while the index still knows them, and captures the unchanged
// source.
class LeaningFlow : public DamageFlow {
 protected:
  std::optional<CaptureReport> capture_again() {
    EXPECT_TRUE(world_.open().ok());
    CaptureOptions options;
    options.parent = snapshot_;
    auto again = world_.capture_file(image_.path(), options);
    EXPECT_TRUE(again.ok()) << (again.ok() ? "" : again.error().text());
    if (!again.ok()) return std::nullopt;
    return again.take();
  }
  // Removes the damaged files and reads the snapshot with an index that knows only what the packs say.
  void expect_readable_without(const std::vector<std::string>& files, const SnapshotRecord& record) {
    for (const std::string& path : files) fs::remove(path);
    ASSERT_OK(world_.open());
    ASSERT_OK(world_.repo().reindex());
    const auto differences = world_.compare_with(record, image_.path());
    ASSERT_OK(differences);
    EXPECT_TRUE(differences.value().empty());
  }
};

TEST_F(LeaningFlow, ATruncatedDataPackIsNotLeanedOn) {
  const auto packs = files_below(store_ + "/packs");
  for (const std::string& path : packs) fs::resize_file(path, 0);
  const auto again = capture_again();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record.new_blocks, snapshot_.new_blocks);
  ASSERT_EQ(again->warnings.size(), 1U);
  EXPECT_NE(again->warnings[0].find("lost"), std::string::npos);
  expect_readable_without(packs, again->record);
}

TEST_F(LeaningFlow, APackWithTheBytesOfAnotherIsNotLeanedOn) {
  const auto packs = files_below(store_ + "/packs");
  Image other(directory_.path() + "/other", 1 << 20);
  std::vector<std::byte> noise(1 << 20);
  Prng(9).fill(noise);
  other.write(0, noise);
  ASSERT_OK(world_.capture_file(other.path()));
  for (const std::string& path : files_below(store_ + "/packs")) {
    if (std::find(packs.begin(), packs.end(), path) != packs.end()) continue;
    for (const std::string& old : packs) fs::copy_file(path, old, fs::copy_options::overwrite_existing);
  }
  const auto again = capture_again();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record.new_blocks, snapshot_.new_blocks);
  expect_readable_without(packs, again->record);
}

// The nodes can still be read, so no block is read or stored again.
TEST_F(LeaningFlow, NodesOfMetaPacksWithoutTheirEndsAreWrittenAgain) {
  const auto packs = files_below(store_ + "/meta");
  for (const std::string& path : packs) flip(path, fs::file_size(path) - 1);
  const auto again = capture_again();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->record.root, snapshot_.root);
  EXPECT_EQ(again->record.new_blocks.value, 0U);
  EXPECT_GT(again->nodes_written, 0U);
  EXPECT_TRUE(again->warnings.empty());
  expect_readable_without(packs, again->record);
}

}  // namespace
}  // namespace ashlar
