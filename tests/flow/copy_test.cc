// Tests of copies between stores: the copy equals the original, only missing data is sent, and a copy that
// fails publishes no snapshot.
#include "transfer/copy.h"

#include <thread>

#include "flow/world.h"
#include "manifest/tree_visit.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

class CopyFlow : public testing::Test {
 protected:
  void SetUp() override {
    for (World* world : {&here_, &there_}) {
      const std::string store = world == &here_ ? directory_ / "here" : directory_ / "there";
      ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store}, {}));
      ASSERT_OK(world->open());
    }
  }
  SnapshotRecord captured(const Image& image, const std::optional<SnapshotRecord>& parent = {}) {
    CaptureOptions options;
    options.parent = parent;
    options.name = "original";
    auto report = here_.capture_file(image.path(), options);
    if (!report.ok()) ADD_FAILURE() << report.error().text();
    return report.ok() ? report.value().record : SnapshotRecord{};
  }
  Result<CopyReport> copy(const std::vector<SnapshotRecord>& originals, const std::stop_token& stop = {}) {
    Repo& from = here_.repo();
    Repo& to = there_.repo();
    std::vector<SnapshotId> ids;
    for (std::size_t i = 0; i < originals.size(); ++i) ids.push_back(SnapshotId{++last_id_});
    CopyProgress progress;
    return copy_snapshots(TRY(from.read_parts()), TRY(to.write_parts()), originals, ids, progress, stop);
  }
  void expect_restores(const SnapshotRecord& snapshot, const std::vector<std::byte>& model) {
    const std::string out = directory_ / "out";
    std::filesystem::remove(out);
    ASSERT_OK(there_.restore_to(snapshot, out));
    EXPECT_TRUE(file_bytes(out) == model);
  }
  std::vector<std::string> packs_there() const {
    std::vector<std::string> paths;
    std::error_code failed;  // ignores that the folder is absent until the first pack arrives
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(directory_ / "there/packs", failed)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
    return paths;
  }

  TemporaryDirectory directory_;
  World here_{posix_file_system(), directory_ / "here"};
  World there_{posix_file_system(), directory_ / "there"};
  std::uint64_t last_id_ = 0;
};

TEST_F(CopyFlow, WhatArrivesIsWhatWasThere) {
  Image image(directory_ / "image", 33 * kMiB + 700);
  Prng prng(1);
  for (int i = 0; i < 30; ++i) image.edit(prng);
  const SnapshotRecord original = captured(image);
  const auto report = copy({original});
  ASSERT_OK(report);
  const SnapshotRecord& arrived = report.value().records.at(0);
  EXPECT_EQ(arrived.content, original.content);
  EXPECT_EQ(arrived.root.digest, original.root.digest);
  EXPECT_NE(arrived.root.id, original.root.id) << "its leaves carry no region hashes";
  EXPECT_EQ(arrived.name, "original");
  EXPECT_EQ(arrived.store, there_.repo().config().id);
  EXPECT_TRUE(arrived.source_identity.is_zero());
  EXPECT_EQ(there_.repo().snapshots().get(arrived.id).take(), arrived);
  expect_restores(arrived, image.model());
  const auto verified = there_.verify();
  ASSERT_OK(verified);
  EXPECT_TRUE(verified.value().damages.empty());
  // A capture in the other store finds the copied blocks and stores few of them again.
  EXPECT_LT(there_.capture_file(image.path()).take().record.new_blocks.value,
            original.data_blocks.value / 10 + 16);
}

// Notes the leaves of a tree.
class Leaves : public TreeVisitor {
 public:
  Status visit_leaf(const NodeRef& /*ref*/, const Leaf& leaf) override {
    ++count;
    with_hashes += leaf.region_mask != 0 ? 1U : 0U;
    without_hashes += leaf.no_region_hashes ? 1U : 0U;
    return {};
  }
  Status visit_inner(const NodeRef& /*ref*/, const InnerNode& /*node*/) override { return {}; }

  std::uint64_t count = 0;
  std::uint64_t with_hashes = 0;
  std::uint64_t without_hashes = 0;
};

TEST_F(CopyFlow, RegionHashesStayInTheirStore) {
  Image image(directory_ / "image", 30 * kMiB);
  std::vector<std::byte> noise(30 * kMiB);
  Prng(9).fill(noise);
  image.write(0, noise);
  const SnapshotRecord original = captured(image);
  const SnapshotRecord arrived = copy({original}).take().records.at(0);
  Leaves of_original;
  Leaves of_copy;
  std::set<SeenNode> seen;
  ASSERT_OK(visit_tree(*here_.repo().nodes().take(), original, seen, of_original, {}));
  ASSERT_OK(visit_tree(*there_.repo().nodes().take(), arrived, seen, of_copy, {}));
  EXPECT_EQ(of_original.with_hashes, 8U);
  EXPECT_EQ(of_copy.count, 8U);
  EXPECT_EQ(of_copy.without_hashes, 8U);
}

// Within a store nothing leaves it, so nothing has to be written.
TEST_F(CopyFlow, WithinAStoreTheTreeIsTheSame) {
  Image image(directory_ / "image", 9 * kMiB);
  Prng prng(1);
  for (int i = 0; i < 30; ++i) image.edit(prng);
  const SnapshotRecord original = captured(image);
  CopyProgress progress;
  const auto report = copy_snapshots(here_.repo().read_parts().take(), here_.repo().write_parts().take(),
                                     {original}, {SnapshotId{5}}, progress, {});
  ASSERT_OK(report);
  EXPECT_EQ(report.value().records.at(0).root, original.root);
  EXPECT_EQ(report.value().nodes_sent, 0U);
}

// The first capture on a copy can't compare by region hashes: it computes the mark of each block, and writes
// the leaves with hashes. From then on a capture is as quick as on any parent.
TEST_F(CopyFlow, TheFirstCaptureOnACopyWritesItsRegionHashesOnce) {
  Image image(directory_ / "image", 30 * kMiB);
  std::vector<std::byte> noise(30 * kMiB);
  Prng(9).fill(noise);
  image.write(0, noise);
  CaptureOptions options;
  options.parent = copy({captured(image)}).take().records.at(0);

  const auto first = there_.capture_file(image.path(), options);
  ASSERT_OK(first);
  EXPECT_EQ(first.value().marked_bytes.value, 30 * kMiB);
  EXPECT_EQ(first.value().unchanged_bytes.value, 30 * kMiB);
  EXPECT_EQ(first.value().nodes_written, 9U) << "eight leaves and the root";
  EXPECT_EQ(first.value().record.new_blocks.value, 0U);
  EXPECT_EQ(first.value().record.content, options.parent->content);
  EXPECT_NE(first.value().record.root.id, options.parent->root.id);

  options.parent = first.value().record;
  const auto second = there_.capture_file(image.path(), options);
  ASSERT_OK(second);
  EXPECT_EQ(second.value().marked_bytes.value, 0U);
  EXPECT_EQ(second.value().unchanged_bytes.value, 30 * kMiB);
  EXPECT_EQ(second.value().nodes_written, 0U);
  EXPECT_EQ(second.value().record.root, first.value().record.root);

  image.write(5 * kMiB + 100, ByteSpan(noise).first(10));
  options.parent = second.value().record;
  const auto third = there_.capture_file(image.path(), options);
  ASSERT_OK(third);
  EXPECT_EQ(third.value().marked_bytes.value, kRegionBytes);
  EXPECT_EQ(third.value().nodes_written, 2U);
  expect_restores(third.value().record, image.model());
}

TEST_F(CopyFlow, OfASecondVersionOnlyTheDifferenceCrosses) {
  Image image(directory_ / "image", 64 * kMiB);
  std::vector<std::byte> noise(64 * kMiB);
  Prng(2).fill(noise);
  image.write(0, noise);
  const SnapshotRecord first = captured(image);
  ASSERT_OK(copy({first}));
  for (std::uint64_t at = 0; at < 64; at += 9) {
    std::vector<std::byte> change(300'000);
    Prng(at).fill(change);
    image.write(at * kMiB + 12345, change);
  }
  const SnapshotRecord second = captured(image, first);
  const auto report = copy({second});
  ASSERT_OK(report);
  EXPECT_GT(report.value().segment_bytes_sent, 0U);
  EXPECT_LE(report.value().segment_bytes_sent + report.value().node_bytes_sent,
            second.new_stored_bytes.value * 11 / 10);
  expect_restores(report.value().records.at(0), image.model());
  const auto again = copy({first, second});
  ASSERT_OK(again);
  EXPECT_EQ(again.value().segments_sent + again.value().nodes_sent, 0U);
  EXPECT_EQ(again.value().records.size(), 2U);
}

TEST_F(CopyFlow, WhatWasSentBeforeACopyWasStoppedIsNotSentAgain) {
  Image image(directory_ / "image", 200 * kMiB);
  std::vector<std::byte> noise(200 * kMiB);
  Prng(3).fill(noise);
  image.write(0, noise);
  const SnapshotRecord original = captured(image);
  std::stop_source stop;
  std::jthread stopper([&] {
    while (packs_there().empty()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    stop.request_stop();
  });
  const auto stopped = copy({original}, stop.get_token());
  stopper.join();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(there_.repo().snapshots().list_ids().take().empty());
  const auto report = copy({original});
  ASSERT_OK(report);
  EXPECT_LT(report.value().segment_bytes_sent, 150 * kMiB);
  expect_restores(report.value().records.at(0), image.model());
}

TEST_F(CopyFlow, WhatIsDamagedHereDoesNotArrive) {
  Image image(directory_ / "image", 8 * kMiB);
  std::vector<std::byte> noise(8 * kMiB);
  Prng(4).fill(noise);
  image.write(0, noise);
  const SnapshotRecord original = captured(image);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory_ / "here/packs")) {
    if (!entry.is_regular_file()) continue;
    std::fstream pack(entry.path(), std::ios::binary | std::ios::in | std::ios::out);
    pack.seekp(static_cast<std::streamoff>(entry.file_size() / 2));
    pack.write("damaged", 7);
  }
  const auto failed = copy({original});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code(), ErrorCode::kCorrupt);
  EXPECT_TRUE(there_.repo().snapshots().list_ids().take().empty());
}

// A copy and a verification look at the blocks themselves: they do not believe what a leaf from another store
// says of its content.
TEST_F(CopyFlow, ALeafThatLiesAboutItsBlocksIsDamage) {
  std::vector<SnapshotRecord> records;
  for (const std::uint64_t seed : {6, 7}) {
    Image image(directory_ / fmt::format("image-{}", seed), 2 * kMiB);
    std::vector<std::byte> noise(2 * kMiB);
    Prng(seed).fill(noise);
    image.write(0, noise);
    records.push_back(captured(image));
  }
  Repo& repo = here_.repo();
  Leaf leaf = *repo.nodes().take()->leaf(records[1].root.id).take();
  leaf.digest = records[0].root.digest;
  const ByteVector encoding = encode(leaf);
  LeanedPacks leaned(repo.objects(), random_id<SessionId>());
  MetaWriter writer(repo.objects(), *repo.index().take(), repo.config().id, leaned, [] { return Status(); });
  ASSERT_OK(writer.put(node_id(encoding), encoding));
  ASSERT_OK(writer.finish());
  SnapshotRecord forged = records[0];
  forged.id = SnapshotId{777};
  forged.root.id = node_id(encoding);
  ASSERT_OK(publish_snapshot(repo.objects(), forged));
  ASSERT_EQ(forged.content, records[0].content);
  const auto copied = copy({forged});
  ASSERT_FALSE(copied.ok());
  EXPECT_EQ(copied.error().code(), ErrorCode::kCorrupt);
  const auto verified = here_.verify();
  ASSERT_OK(verified);
  ASSERT_EQ(verified.value().damages.size(), 1U);
  EXPECT_EQ(verified.value().damages[0].losses.at(0).snapshot, forged.id);
  ASSERT_OK(remove_snapshot(repo.objects(), forged.id));
  EXPECT_TRUE(here_.verify().take().damages.empty());
}

// The other store still has the manifest nodes, but lost some of the segments they refer to: the next copy
// sends these again.
TEST_F(CopyFlow, WhatTheOtherStoreHasLostGoesOverAgain) {
  Image image(directory_ / "image", 8 * kMiB);
  std::vector<std::byte> noise(8 * kMiB);
  Prng(5).fill(noise);
  image.write(0, noise);
  const SnapshotRecord original = captured(image);
  ASSERT_OK(copy({original}));
  for (const std::string& pack : packs_there())
    std::filesystem::resize_file(pack, std::filesystem::file_size(pack) - 10);
  World later(posix_file_system(), directory_ / "there");
  ASSERT_OK(later.open());
  Repo& from = here_.repo();
  CopyProgress progress;
  const auto healed = copy_snapshots(from.read_parts().take(), later.repo().write_parts().take(), {original},
                                     {SnapshotId{99}}, progress, {});
  ASSERT_OK(healed);
  EXPECT_EQ(healed.value().segments_sent, 2U);
  const std::string out = directory_ / "healed";
  ASSERT_OK(later.restore_to(healed.value().records.at(0), out));
  EXPECT_TRUE(file_bytes(out) == image.model());
}

}  // namespace
}  // namespace ashlar
