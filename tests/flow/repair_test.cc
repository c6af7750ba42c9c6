// Tests of repair: what is damaged or gone comes back from wherever it still is, block for block; what is
// nowhere is lost, and said so; a collection then drops the damaged packs.
#include "repair/repair.h"

#include <algorithm>

#include "codec/hash.h"
#include "collect/collect.h"
#include "flow/world.h"
#include "scrub/scrub.h"
#include "transfer/copy.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMegabyte = 1 << 20;

class RepairFlow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    ByteVector noise(image_.model().size());
    Prng(5).fill(noise);
    image_.write(0, noise);
    first_ = captured(world_);
    fs::copy(store_, copy_, fs::copy_options::recursive);
  }

  SnapshotRecord captured(World& world) {
    CaptureOptions options;
    options.threads = 1;
    auto report = world.capture_file(image_.path(), options);
    EXPECT_TRUE(report.ok()) << report.error().text();
    if (!report.ok()) return {};
    session_ = report.value().session;
    return report.value().record;
  }

  std::string pack_path(PackKind kind) {
    return store_ + "/" + pack_key(kind, list_packs(world_.repo().objects(), kind).take().at(0).id);
  }
  // Rots frames of the first segment: every `step`th.
  void rot_frames(std::size_t step) {
    Index& index = *world_.repo().index().take();
    const PackId pack = list_packs(world_.repo().objects(), PackKind::kData).take().at(0).id;
    const SegmentId id = index.pack_segments(pack).take().at(0).id;
    const auto segment = SegmentReader(world_.repo().objects(), index).locate(id).take();
    for (std::size_t i = 0; i < segment->frame_offsets.size(); i += step)
      flip(store_ + "/" + pack_key(PackKind::kData, pack), segment->frame_offsets[i] + 7);
  }
  void found(std::size_t damages) {
    ASSERT_OK(world_.open());
    const auto report = world_.verify();
    ASSERT_OK(report);
    ASSERT_EQ(report.value().damages.size(), damages);
  }
  RepairReport repaired(const RepairSources& sources = {}) {
    RepairProgress progress;
    auto report = repair(world_.repo().write_parts().take(), sources, progress, {});
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.take() : RepairReport{};
  }
  static HealingStore store_of(World& world, bool is_copy) {
    const VerifyParts parts = world.repo().verify_parts().take();
    return {parts.objects, parts.index, *world.repo().segments().take(), is_copy};
  }
  void expect_whole(const SnapshotRecord& snapshot) {
    ASSERT_OK(world_.open());
    const std::string out = directory_ / "out";
    fs::remove(out);
    ASSERT_OK(world_.restore_to(snapshot, out));
    EXPECT_TRUE(file_bytes(out) == image_.model());
  }
  // After two collections no damaged pack is left, and nothing is damaged.
  void expect_clean_after_collections() {
    for (int i = 0; i < 2; ++i) {
      ASSERT_OK(world_.open());
      const VerifyParts parts = world_.repo().verify_parts().take();
      CollectProgress progress;
      ASSERT_OK(collect({parts.config, parts.objects, parts.index, parts.damage}, {}, progress, {}));
    }
    found(0);
    expect_whole(first_);
    EXPECT_TRUE(!fs::exists(store_ + "/damage") || fs::is_empty(store_ + "/damage"));
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_ / "store";
  std::string copy_ = directory_ / "copy";
  World world_{posix_file_system(), store_, {{}, {}, true}};
  Image image_{directory_ / "image", 6 * kMegabyte};
  SnapshotRecord first_;
  SessionId session_;  // of the last capture
};

TEST_F(RepairFlow, ASoundStoreNeedsNothing) {
  const RepairReport report = repaired();
  EXPECT_EQ(report.needed_blocks + report.needed_nodes + report.healed_blocks, 0U);
  EXPECT_TRUE(report.warnings.empty());
}

TEST_F(RepairFlow, DamagedFramesComeBackFromACopy) {
  rot_frames(5);
  found(13);
  World copy(posix_file_system(), copy_, {{}, {}, true});
  ASSERT_OK(copy.open());
  RepairSources sources;
  sources.stores.push_back(store_of(copy, true));
  const RepairReport report = repaired(sources);
  EXPECT_EQ(report.needed_blocks, 13U * 16);
  EXPECT_EQ(report.healed_blocks, 13U * 16);
  EXPECT_EQ(report.lost_blocks, 0U);
  expect_whole(first_);
  const auto left = describe_damage(world_.repo().verify_parts().take(), {});
  ASSERT_OK(left);
  ASSERT_EQ(left.value().damages.size(), 13U);
  for (const Damage& damage : left.value().damages) {
    EXPECT_TRUE(damage.losses.empty());
    EXPECT_EQ(damage.sound_in.size(), 1U);
  }
  EXPECT_EQ(repaired(sources).needed_blocks, 0U) << "healed already";
  expect_clean_after_collections();
}

// The other store holds the blocks in other segments, and under another secret.
TEST_F(RepairFlow, DamagedFramesComeBackFromAnUnrelatedStore) {
  const std::string path = directory_ / "other";
  ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{path}, {}));
  World other(posix_file_system(), path, {{}, {}, true});
  ASSERT_OK(other.open());
  Image shifted(directory_ / "shifted", image_.model().size() + 4096);
  shifted.write(4096, image_.model());
  ASSERT_OK(other.capture_file(shifted.path()));
  rot_frames(3);
  found(22);
  RepairSources sources;
  sources.stores.push_back(store_of(other, false));
  EXPECT_EQ(repaired(sources).healed_blocks, 22U * 16);
  expect_clean_after_collections();
}

TEST_F(RepairFlow, DamagedFramesComeBackFromADisk) {
  rot_frames(7);
  found(10);
  RepairSources sources;
  sources.blocks.push_back([&](const std::function<Status(ByteSpan)>& offer) -> Status {
    const ByteSpan disk = image_.model();
    for (std::size_t at = 0; at < disk.size(); at += kBlockBytes) TRY(offer(disk.subspan(at, kBlockBytes)));
    return {};
  });
  EXPECT_EQ(repaired(sources).healed_blocks, 10U * 16);
  expect_clean_after_collections();
}

TEST_F(RepairFlow, TheNextCaptureOfTheSameBlocksHeals) {
  rot_frames(5);
  found(13);
  const SnapshotRecord second = captured(world_);
  EXPECT_EQ(second.new_blocks.value, 13U * 16);
  const auto healed = heal_from_capture(world_.repo().write_parts().take(), session_, {});
  ASSERT_OK(healed);
  EXPECT_EQ(healed.value(), 13U * 16);
  expect_whole(first_);
  expect_whole(second);
  EXPECT_EQ(repaired().needed_blocks, 0U);
  expect_clean_after_collections();
}

// Without help of a capture too: the blocks lie in another segment of the same store.
TEST_F(RepairFlow, OtherSegmentsOfTheStoreHeal) {
  rot_frames(5);
  found(13);
  captured(world_);
  EXPECT_EQ(repaired().healed_blocks, 13U * 16);
  expect_clean_after_collections();
}

TEST_F(RepairFlow, WhatIsNowhereIsLostAndSaysSoAndMayComeBackLater) {
  rot_frames(64);
  found(1);
  const RepairReport lost = repaired();
  EXPECT_EQ(lost.lost_blocks, 16U);
  EXPECT_EQ(lost.healed_blocks, 0U);
  ASSERT_OK(world_.open());
  const auto restored = world_.restore_to(first_, directory_ / "part");
  ASSERT_FALSE(restored.ok());
  EXPECT_NE(restored.error().text().find("given up as lost"), std::string::npos) << restored.error().text();
  const auto left = describe_damage(world_.repo().verify_parts().take(), {});
  ASSERT_OK(left);
  ASSERT_EQ(left.value().damages.size(), 1U);
  ASSERT_EQ(left.value().damages[0].losses.size(), 1U);
  EXPECT_EQ(left.value().damages[0].losses[0].ranges, (std::vector{BlockRange{Lba{0}, BlockCount{16}}}));

  World copy(posix_file_system(), copy_, {{}, {}, true});
  ASSERT_OK(copy.open());
  RepairSources sources;
  sources.stores.push_back(store_of(copy, true));
  EXPECT_EQ(repaired(sources).healed_blocks, 16U);
  expect_clean_after_collections();
}

TEST_F(RepairFlow, PacksThatAreGoneComeBackFromACopy) {
  fs::remove(pack_path(PackKind::kData));
  fs::remove(pack_path(PackKind::kMeta));
  ASSERT_OK(world_.open());
  World copy(posix_file_system(), copy_, {{}, {}, true});
  ASSERT_OK(copy.open());
  RepairSources sources;
  sources.stores.push_back(store_of(copy, true));
  const RepairReport report = repaired(sources);
  EXPECT_EQ(report.healed_blocks, image_.model().size() / kBlockBytes);
  EXPECT_EQ(report.healed_nodes, 3U) << "the root and two leaves";
  expect_clean_after_collections();
}

// Only the present index finds what is in packs with damaged ends.
TEST_F(RepairFlow, PacksWithDamagedEndsAreSavedWhileTheIndexKnowsThem) {
  for (const PackKind kind : {PackKind::kData, PackKind::kMeta}) flip(pack_path(kind), 3);
  const auto report_of_verify = world_.verify();  // an index that is made anew would not know them
  ASSERT_OK(report_of_verify);
  ASSERT_EQ(report_of_verify.value().damages.size(), 2U);
  const RepairReport report = repaired();
  EXPECT_EQ(report.lost_blocks + report.lost_nodes, 0U);
  EXPECT_EQ(report.healed_blocks, image_.model().size() / kBlockBytes);
  expect_clean_after_collections();
}

TEST_F(RepairFlow, ADamagedPackStaysWhileItMayHoldWhatIsNeeded) {
  flip(pack_path(PackKind::kData), 3);
  found(3);  // the pack, and two segments that are in no readable pack
  EXPECT_EQ(repaired().healed_blocks, 0U);
  const VerifyParts parts = world_.repo().verify_parts().take();
  CollectProgress progress;
  const auto collected = collect({parts.config, parts.objects, parts.index, parts.damage}, {}, progress, {});
  ASSERT_OK(collected);
  EXPECT_EQ(collected.value().freed_packs, 0U);
  EXPECT_EQ(collected.value().plan.sum(Verdict::kDamaged).packs, 1U);
  World copy(posix_file_system(), copy_, {{}, {}, true});
  ASSERT_OK(copy.open());
  RepairSources sources;
  sources.stores.push_back(store_of(copy, true));
  EXPECT_EQ(repaired(sources).healed_blocks, image_.model().size() / kBlockBytes);
  expect_clean_after_collections();
}

TEST_F(RepairFlow, RecordsComeBackFromACopyOfTheSameStoreOnly) {
  const std::string record = store_ + "/snapshots/" + first_.id.text();
  World copy(posix_file_system(), copy_, {{}, {}, true});
  ASSERT_OK(copy.open());
  flip(record, 40);
  ASSERT_OK(world_.open());
  RepairSources sources;
  sources.stores.push_back(store_of(copy, false));
  EXPECT_TRUE(repaired(sources).records.empty());
  EXPECT_FALSE(world_.repo().snapshots().get(first_.id).ok());
  sources.stores.front().is_copy = true;
  EXPECT_EQ(repaired(sources).records, std::vector{"snapshots/" + first_.id.text()});
  expect_whole(first_);
  flip(record, 40);
  flip(copy_ + "/snapshots/" + first_.id.text(), 41);
  ASSERT_OK(world_.open());
  const RepairReport report = repaired(sources);
  EXPECT_TRUE(report.records.empty()) << "the copy's is damaged too";
  EXPECT_EQ(report.warnings.size(), 1U);
}

}  // namespace
}  // namespace ashlar
