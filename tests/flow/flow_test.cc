// Tests of whole flows against a plain model: restores equal what was captured, incremental captures equal
// full ones, and the result does not depend on the number of threads.
#include <unistd.h>

#include "flow/world.h"

namespace ashlar {
namespace {

class Flow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store()}, {}));
    ASSERT_OK(world_.open());
  }
  std::string store() const { return directory_.path() + "/store"; }
  std::string file(const std::string& name) const { return directory_.path() + "/" + name; }

  void expect_restores(World& world, const SnapshotRecord& snapshot, const std::vector<std::byte>& model) {
    const std::string out = file("restored");
    std::filesystem::remove(out);
    ASSERT_OK(world.restore_to(snapshot, out));
    ASSERT_TRUE(file_bytes(out) == model);
    const auto differences = world.compare_with(snapshot, out);
    ASSERT_OK(differences);
    EXPECT_TRUE(differences.value().empty());
  }

  TemporaryDirectory directory_;
  World world_{posix_file_system(), directory_.path() + "/store"};
};

constexpr std::uint64_t kSizes[] = {
    0, 1, 511, 4096, 4097, 65536, 4 << 20, (4 << 20) + 1, (9 << 20) + 12345, 40 << 20};

TEST_F(Flow, EverySizeComesBackByteByByte) {
  for (const std::uint64_t size : kSizes) {
    SCOPED_TRACE(size);
    Image image(file("image-" + std::to_string(size)), size);
    Prng prng(size + 1);
    for (int i = 0; i < 6; ++i) image.edit(prng);
    const auto report = world_.capture_file(image.path());
    ASSERT_OK(report);
    EXPECT_EQ(report.value().record.size.value, size);
    expect_restores(world_, report.value().record, image.model());
  }
  const auto verified = world_.verify();
  ASSERT_OK(verified);
  EXPECT_TRUE(verified.value().damages.empty());
}

TEST_F(Flow, IncrementalsOfRandomEditsEqualFullCaptures) {
  const std::uint64_t seed = random_u64();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng prng(seed);
  Image image(file("image"), (23 << 20) + 777);
  std::optional<SnapshotRecord> parent;
  std::vector<std::pair<SnapshotRecord, std::vector<std::byte>>> history;
  std::uint64_t captured = 0;
  std::uint64_t stored_again = 0;
  for (int step = 0; step < 12; ++step) {
    for (std::uint64_t i = prng.below(4); i > 0; --i) image.edit(prng);
    if (step == 5) image.resize((31 << 20) + 5);
    if (step == 8) image.resize(17 << 20);
    CaptureOptions incremental;
    incremental.parent = parent;
    const auto next = world_.capture_file(image.path(), incremental);
    ASSERT_OK(next);
    const auto full = world_.capture_file(image.path());
    ASSERT_OK(full);
    EXPECT_EQ(next.value().record.content, full.value().record.content);
    EXPECT_EQ(next.value().record.data_blocks, full.value().record.data_blocks);
    captured += full.value().record.data_blocks.value;
    stored_again += full.value().record.new_blocks.value;
    parent = next.value().record;
    history.emplace_back(next.value().record, image.model());
  }
  // The incremental capture just stored all these blocks, so the full one should store few. But when an edit
  // takes the head of a segment, the rest may hold no hook: the gap between hooks is 16 blocks on average,
  // and one in four thousand is longer than 128.
  EXPECT_LE(stored_again, 128 + captured / 20);
  for (const auto& [snapshot, model] : history) expect_restores(world_, snapshot, model);
}

// The index must not claim blocks that a truncated pack has lost. The source still has them, so a capture
// stores them again.
TEST_F(Flow, WhatACutOffPackHeldIsNotKnown) {
  Image image(file("image"), 12 << 20);
  std::vector<std::byte> noise(12 << 20);
  Prng(5).fill(noise);
  image.write(0, noise);
  const auto whole = world_.capture_file(image.path());
  ASSERT_OK(whole);
  const std::string copy = file("copy");
  {
    World before(posix_file_system(), copy);
    std::filesystem::copy(store(), copy, std::filesystem::copy_options::recursive);
    std::filesystem::remove_all(copy + "/host");
    ASSERT_OK(before.open());
    ASSERT_EQ(before.capture_file(image.path()).take().record.new_blocks.value, 0U);
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(copy + "/packs")) {
    if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), entry.file_size() - (2 << 20));
  }
  World after(posix_file_system(), copy);
  ASSERT_OK(after.open());
  const auto again = after.capture_file(image.path());
  ASSERT_OK(again);
  EXPECT_GE(again.value().record.new_blocks.value, (2U << 20U) / kBlockBytes);
  ASSERT_OK(after.repo().reindex());
  expect_restores(after, again.value().record, image.model());
}

TEST_F(Flow, TheNumberOfThreadsChangesNothing) {
  std::filesystem::copy(store(), file("store-one"), std::filesystem::copy_options::recursive);
  std::filesystem::copy(store(), file("store-many"), std::filesystem::copy_options::recursive);
  World one(posix_file_system(), file("store-one"));
  World many(posix_file_system(), file("store-many"));
  ASSERT_OK(one.open());
  ASSERT_OK(many.open());
  Image image(file("image"), 60 << 20);
  Prng prng(7);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 8; ++i) image.edit(prng);
    CaptureOptions options;
    options.threads = 1;
    const auto a = one.capture_file(image.path(), options);
    options.threads = 7;
    const auto b = many.capture_file(image.path(), options);
    ASSERT_OK(a);
    ASSERT_OK(b);
    EXPECT_EQ(a.value().record.root, b.value().record.root);
    EXPECT_EQ(a.value().record.new_blocks, b.value().record.new_blocks);
    EXPECT_EQ(a.value().record.new_stored_bytes, b.value().record.new_stored_bytes);
  }
}

TEST_F(Flow, AnUnchangedImageReadsAndWritesNothingNew) {
  Image image(file("image"), 32 << 20);
  Prng prng(3);
  for (int i = 0; i < 10; ++i) image.edit(prng);
  const auto first = world_.capture_file(image.path());
  ASSERT_OK(first);
  CaptureOptions options;
  options.parent = first.value().record;
  const auto second = world_.capture_file(image.path(), options);
  ASSERT_OK(second);
  EXPECT_EQ(second.value().record.root, first.value().record.root);
  EXPECT_EQ(second.value().nodes_written, 0U);
  EXPECT_EQ(second.value().record.new_stored_bytes.value, 0U);
  EXPECT_EQ(second.value().record.generation, 1U);
}

TEST_F(Flow, HolesStayHolesAndZerosStayZeros) {
  Image image(file("image"), 64 << 20);
  std::vector<std::byte> zeros(1 << 20);
  image.write(8 << 20, zeros);  // written, so allocated, but zero
  std::vector<std::byte> data(1 << 20);
  Prng(1).fill(data);
  image.write(32 << 20, data);
  const auto report = world_.capture_file(image.path());
  ASSERT_OK(report);
  const SnapshotRecord& record = report.value().record;
  EXPECT_EQ(record.data_blocks.value, 256U);
  EXPECT_EQ(record.zero_blocks.value, 256U);
  EXPECT_EQ(record.unallocated_blocks.value, (64U << 20) / 4096 - 512);
  ASSERT_OK(world_.restore_to(record, file("out")));
  EXPECT_EQ(std::filesystem::file_size(file("out")), 64U << 20);
  EXPECT_TRUE(file_bytes(file("out")) == image.model());
  struct stat info {};
  ASSERT_EQ(::stat(file("out").c_str(), &info), 0);
  EXPECT_LE(info.st_blocks * 512, 2 << 20) << "the restored file is sparse";
}

TEST_F(Flow, LeavesFullOfSmallHolesNeedNoMoreBuffersThanThereAre) {
  Image image(file("image"), 32 << 20);
  std::vector<std::byte> data(4096);
  Prng prng(5);
  for (std::uint64_t offset = 0; offset < (32 << 20); offset += 2 * kRegionBytes) {
    prng.fill(data);
    image.write(offset, data);
  }
  const auto report = world_.capture_file(image.path());
  ASSERT_OK(report);
  EXPECT_EQ(report.value().record.data_blocks.value, (32U << 20) / (2 * kRegionBytes));
  EXPECT_EQ(report.value().record.zero_blocks.value, 0U) << "holes that were read over stay holes";
  expect_restores(world_, report.value().record, image.model());
}

TEST_F(Flow, AStreamOfAnyLengthIsCaptured) {
  for (const std::uint64_t size : {0ULL, 5ULL, 4ULL << 20, (12ULL << 20) + 4096, (12ULL << 20) + 1}) {
    SCOPED_TRACE(size);
    Image image(file("stream"), size);
    Prng prng(size);
    for (int i = 0; i < 5; ++i) image.edit(prng);
    const UniqueFd held(::dup(STDIN_FILENO));
    ASSERT_NE(std::freopen(image.path().c_str(), "rb", stdin), nullptr);
    const auto report = world_.capture_file("-");
    ::dup2(held.get(), STDIN_FILENO);
    ASSERT_OK(report);
    EXPECT_EQ(report.value().record.size.value, size);
    expect_restores(world_, report.value().record, image.model());
    const auto as_file = world_.capture_file(image.path());
    ASSERT_OK(as_file);
    EXPECT_EQ(as_file.value().record.content, report.value().record.content);
  }
}

TEST_F(Flow, DeltaWritesOnlyWhatDiffers) {
  Image image(file("image"), 24 << 20);
  Prng prng(11);
  for (int i = 0; i < 12; ++i) image.edit(prng);
  const auto first = world_.capture_file(image.path());
  ASSERT_OK(first);
  ASSERT_OK(world_.restore_to(first.value().record, file("out")));
  std::vector<std::byte> patch(5000);
  prng.fill(patch);
  image.write(3'000'000, patch);
  const auto second = world_.capture_file(image.path());
  ASSERT_OK(second);
  RestoreOptions delta;
  delta.delta = true;
  const auto report = world_.restore_to(second.value().record, file("out"), delta);
  ASSERT_OK(report);
  EXPECT_LE(report.value().written_bytes.value, 3 * kBlockBytes);
  EXPECT_TRUE(file_bytes(file("out")) == image.model());
}

TEST_F(Flow, AnInterruptedRestoreIsTakenUp) {
  Image image(file("image"), 24 << 20);
  Prng prng(12);
  for (int i = 0; i < 12; ++i) image.edit(prng);
  const auto snapshot = world_.capture_file(image.path());
  ASSERT_OK(snapshot);
  ASSERT_OK(world_.restore_to(snapshot.value().record, file("whole")));
  // A killed restore leaves a partial file with some ranges right and some wrong.
  std::filesystem::copy_file(file("whole"), partial_name(file("out")));
  std::fstream partial(partial_name(file("out")), std::ios::binary | std::ios::in | std::ios::out);
  std::vector<char> garbage(3 << 20, 'x');
  partial.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
  partial.close();
  const auto report = world_.restore_to(snapshot.value().record, file("out"));
  ASSERT_OK(report);
  EXPECT_LE(report.value().written_bytes.value, 3U << 20);
  EXPECT_TRUE(file_bytes(file("out")) == image.model());
  EXPECT_FALSE(std::filesystem::exists(partial_name(file("out"))));
}

TEST_F(Flow, ALostIndexAnswersTheSameWhenRebuilt) {
  Image image(file("image"), 40 << 20);
  Prng prng(13);
  for (int i = 0; i < 12; ++i) image.edit(prng);
  const auto first = world_.capture_file(image.path());
  ASSERT_OK(first);
  ASSERT_OK(world_.open());
  std::filesystem::remove_all(store() + "/host");
  ASSERT_OK(world_.open());
  const auto again = world_.capture_file(image.path());
  ASSERT_OK(again);
  EXPECT_EQ(again.value().record.root, first.value().record.root);
  EXPECT_EQ(again.value().record.new_blocks.value, 0U);
}

TEST_F(Flow, TwoWritersAtOnceBothPublish) {
  Image one(file("one"), 20 << 20);
  Image two(file("two"), 20 << 20);
  Prng prng(14);
  for (int i = 0; i < 8; ++i) one.edit(prng);
  for (int i = 0; i < 8; ++i) two.edit(prng);
  World other(posix_file_system(), store());
  ASSERT_OK(world_.repo().index());  // world_ takes the lock of the index
  ASSERT_OK(other.open());
  const auto a = world_.capture_file(one.path());
  const auto b = other.capture_file(two.path());
  ASSERT_OK(a);
  ASSERT_OK(b);
  expect_restores(other, b.value().record, two.model());
  ASSERT_OK(world_.open());
  expect_restores(world_, a.value().record, one.model());
  expect_restores(world_, b.value().record, two.model());
}

}  // namespace
}  // namespace ashlar
