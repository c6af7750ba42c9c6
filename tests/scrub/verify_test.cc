// Tests of verify on made-up damage: what is found names the object, the segment and the frame, and the
// snapshots and the blocks that are lost with it, no others.
#include "scrub/verify.h"

#include <gtest/gtest.h>

#include "catalog/settings.h"
#include "manifest/builder.h"
#include "support/remote_objects.h"
#include "support/snapshots.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

// A store of snapshots whose leaves each hold the whole of one segment, from the start of the leaf; the rest
// of the leaf is a hole.
class Verifying : public testing::Test {
 protected:
  static constexpr std::size_t kData = 40;  // blocks of a segment: three frames

  void SetUp() override {
    config_.id = StoreRig::id();
    expect_ok(put_first_settings(store_.objects()));
  }

  Leaf leaf_of(std::uint64_t number) {
    const SealedSegment segment = sealed_segment(seeds_from(number * 100, kData));
    if (!expect_ok(store_.index().find_segment(segment.id))) store_.publish(segment);
    Leaf leaf;
    leaf.segments = {segment.id};
    leaf.extents = {{ExtentKind::kData, kData, 0, 0},
                    {ExtentKind::kUnallocated, static_cast<std::uint16_t>(kLeafBlocks - kData), 0, 0}};
    std::vector<BlockMark> marks;
    for (const BlockId& id : segment.blocks) marks.push_back(mark_of(id));
    marks.resize(kLeafBlocks);
    leaf.digest = leaf_digest(marks);
    return leaf;
  }
  SegmentId segment_of(std::uint64_t number) const {
    return sealed_segment(seeds_from(number * 100, kData)).id;
  }
  static std::function<Status()> nothing_to_wait_for() {
    return [] { return Status(); };
  }
  // Publishes a snapshot with these leaves; its new nodes lie in one new meta pack.
  SnapshotId snapshot(std::uint64_t id, const std::vector<std::uint64_t>& leaves) {
    MetaWriter writer(store_.objects(), store_.index(), config_.id, store_.leaned(), nothing_to_wait_for());
    MetaStore nodes(store_.objects(), store_.index());
    ManifestBuilder builder(nodes, writer, BlockCount{leaves.size() * kLeafBlocks}, std::nullopt);
    for (const std::uint64_t number : leaves) expect_ok(builder.add_leaf(leaf_of(number)));
    const TreeRoot root = expect_ok(builder.finish());
    expect_ok(writer.finish());
    SnapshotRecord record;
    record.id = SnapshotId{id};
    record.store = config_.id;
    record.created = UtcTime{1};
    record.size = byte_count(root.blocks);
    record.root_level = root.level;
    record.root = root.ref;
    record.content = volume_digest(record.size, root.level, root.ref.digest);
    record.data_blocks = BlockCount{leaves.size() * kData};
    record.unallocated_blocks = root.blocks - record.data_blocks;
    record.program = "test";
    expect_ok(publish_snapshot(store_.objects(), record));
    return record.id;
  }
  VerifyReport verify() {
    VerifyProgress progress;
    const VerifyParts parts{config_, store_.objects(), store_.index(), snapshots_, damage_};
    return expect_ok(verify_all(parts, progress, {}));
  }
  VerifyReport verify(SnapshotId id) {
    VerifyProgress progress;
    const VerifyParts parts{config_, store_.objects(), store_.index(), snapshots_, damage_};
    return expect_ok(verify_snapshot(parts, id, progress, {}));
  }
  std::string key_of(std::uint64_t leaf) {
    return pack_key(PackKind::kData, store_.place_of(segment_of(leaf)).pack);
  }
  NodePlace node_of(std::uint64_t leaf) {
    return *expect_ok(store_.index().find_node(node_id(encode(leaf_of(leaf)))));
  }

  using Losses = std::map<SnapshotId, std::vector<BlockRange>>;
  static Losses losses_of(const Damage& damage) {
    Losses losses;
    for (const Damage::Loss& loss : damage.losses) losses[loss.snapshot] = loss.ranges;
    EXPECT_EQ(losses.size(), damage.losses.size()) << "a snapshot is named once";
    return losses;
  }
  static BlockRange blocks(std::uint64_t first, std::uint64_t count) {
    return {Lba{first}, BlockCount{count}};
  }

  StoreRig store_;
  StoreConfig config_;
  SnapshotCatalog snapshots_{store_.objects()};
  DamagedFrames damage_{store_.objects(), StoreRig::id()};
};

TEST_F(Verifying, ASoundStoreIsCountedAndHasNoDamage) {
  snapshot(1, {1, 2, 3});
  snapshot(2, {1, 4});
  const VerifyReport report = verify();
  EXPECT_TRUE(report.damages.empty());
  EXPECT_EQ(report.snapshots, 2U);
  EXPECT_EQ(report.segments, 4U);
  EXPECT_EQ(report.blocks, 4 * kData);
  EXPECT_EQ(report.nodes, 6U) << "four leaves and two roots";
  EXPECT_EQ(report.packs, 6U);
}

TEST_F(Verifying, ADamagedFrameCostsItsBlocksInEverySnapshotThatHasThem) {
  const SnapshotId one = snapshot(1, {1, 2, 3});
  const SnapshotId two = snapshot(2, {2, 1});
  snapshot(3, {3});
  const auto located = expect_ok(store_.segments().locate(segment_of(1)));
  store_.flip_byte(key_of(1), located->frame_offsets[1]);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  const Damage& damage = report.damages[0];
  EXPECT_EQ(damage.object, key_of(1));
  EXPECT_EQ(damage.segment, segment_of(1));
  EXPECT_EQ(damage.frame, 1U);
  EXPECT_EQ(losses_of(damage), (Losses{{one, {blocks(16, 16)}}, {two, {blocks(kLeafBlocks + 16, 16)}}}));
  const VerifyReport of_two = verify(two);
  ASSERT_EQ(of_two.damages.size(), 1U);
  EXPECT_EQ(losses_of(of_two.damages[0]), (Losses{{two, {blocks(kLeafBlocks + 16, 16)}}}));
  EXPECT_TRUE(verify(SnapshotId{3}).damages.empty());
}

// Only bytes that were read and are wrong are damage. The ranges that hang on the others are named all the
// same.
TEST_F(Verifying, PacksThatCanNotBeReadAreNotCalledDamaged) {
  const SnapshotId one = snapshot(1, {1, 2});
  RemoteObjects remote(store_.objects());
  remote.fault = Fault::kError;
  VerifyProgress progress;
  const VerifyParts parts{config_, remote, store_.index(), snapshots_, damage_};
  const VerifyReport report = expect_ok(verify_all(parts, progress, {}));
  ASSERT_FALSE(report.damages.empty());
  EXPECT_EQ(report.damaged(), 0U);
  Losses losses;
  for (const Damage& damage : report.damages) {
    EXPECT_TRUE(damage.is_unread) << damage.object;
    losses.merge(losses_of(damage));
  }
  EXPECT_TRUE(losses.contains(one));
  store_.flip_byte(key_of(1), 100);
  EXPECT_EQ(verify().damaged(), 1U);
}

TEST_F(Verifying, ADamagedDirectoryCostsTheSegment) {
  const SnapshotId one = snapshot(1, {1, 2});
  store_.flip_byte(key_of(2), store_.place_of(segment_of(2)).entry.directory_offset + 9);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].segment, segment_of(2));
  EXPECT_FALSE(report.damages[0].frame);
  EXPECT_EQ(losses_of(report.damages[0]), (Losses{{one, {blocks(kLeafBlocks, kData)}}}));
}

TEST_F(Verifying, APackWithoutItsEndsCostsAllThatItHolds) {
  const SnapshotId one = snapshot(1, {1, 2});
  store_.flip_byte(key_of(1), 0);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].object, key_of(1));
  EXPECT_FALSE(report.damages[0].segment);
  EXPECT_EQ(losses_of(report.damages[0]), (Losses{{one, {blocks(0, kData)}}}));
}

TEST_F(Verifying, AMissingPackCostsTheBlocksThatNoPackHolds) {
  const SnapshotId one = snapshot(1, {1, 2});
  store_.forget_pack(store_.place_of(segment_of(2)).pack);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].segment, segment_of(2));
  EXPECT_EQ(losses_of(report.damages[0]), (Losses{{one, {blocks(kLeafBlocks, kData)}}}));
}

TEST_F(Verifying, ADamagedNodeCostsTheRangeThatItCovers) {
  const SnapshotId one = snapshot(1, {1, 2});
  const NodePlace place = node_of(2);
  const std::string key = pack_key(PackKind::kMeta, place.pack);
  store_.flip_byte(key, place.entry.offset + 4);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].object, key);
  EXPECT_EQ(losses_of(report.damages[0]), (Losses{{one, {blocks(kLeafBlocks, kLeafBlocks)}}}));
}

TEST_F(Verifying, ADamagedRecordCostsItsSnapshot) {
  snapshot(1, {1});
  const SnapshotId two = snapshot(2, {1});
  const std::string key = "snapshots/" + two.text();
  store_.flip_byte(key, 40);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].object, key);
  EXPECT_EQ(losses_of(report.damages[0]), (Losses{{two, {}}}));
}

TEST_F(Verifying, DamageThatNoSnapshotRefersToIsFoundWithoutLoss) {
  snapshot(1, {1});
  leaf_of(9);
  store_.flip_byte(key_of(9), expect_ok(store_.segments().locate(segment_of(9)))->frame_offsets[0]);
  const VerifyReport report = verify();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_EQ(report.damages[0].segment, segment_of(9));
  EXPECT_TRUE(report.damages[0].losses.empty());
}

// Two writers at the same time may both store a segment or a node; reads take what is sound of either.
class SecondCopies : public Verifying {
 protected:
  // Publishes a second copy of leaf 1's segment and returns the packs: the one that reads try first, and the
  // other.
  std::pair<PackId, PackId> copy_segment() {
    const PackId before = store_.place_of(segment_of(1)).pack;
    const auto listed = [&] {
      std::set<PackId> packs;
      for (const ListedPack& pack : expect_ok(list_packs(store_.objects(), PackKind::kData)))
        packs.insert(pack.id);
      return packs;
    };
    std::set<PackId> packs = listed();
    store_.publish(sealed_segment(seeds_from(100, kData)));
    std::set<PackId> now = listed();
    for (const PackId& pack : packs) now.erase(pack);
    const PackId used = store_.place_of(segment_of(1)).pack;
    return {used, used == before ? *now.begin() : before};
  }
  // Does the same with the node of leaf 1.
  std::pair<PackId, PackId> copy_node() {
    const PackId before = node_of(1).pack;
    const ByteVector encoding = encode(leaf_of(1));
    const auto writer = expect_ok(MetaPackWriter::create(store_.objects(), config_.id, StoreRig::session()));
    expect_ok(writer->append(node_id(encoding), encoding));
    expect_ok(writer->finish());
    expect_ok(store_.index().add_meta_pack(writer->id(), writer->entries()));
    const PackId used = node_of(1).pack;
    return {used, used == before ? writer->id() : before};
  }
  std::uint64_t node_offset(const PackId& pack) {
    const auto reader = expect_ok(WholePackReader::open(store_.objects(), PackKind::kMeta, pack));
    const NodeId wanted = node_id(encode(leaf_of(1)));
    for (const NodeEntry& entry : expect_ok(reader->nodes())) {
      if (entry.id == wanted) return entry.offset;
    }
    ADD_FAILURE() << "the pack lacks the node";
    return 0;
  }
};

TEST_F(SecondCopies, DamageInOneCopyOfASegmentIsWithoutLoss) {
  const SnapshotId one = snapshot(1, {1, 2});
  const auto [used, spare] = copy_segment();
  const auto located = expect_ok(store_.segments().locate(segment_of(1)));
  const auto flip = [&](const PackId& pack, std::size_t frame) {
    store_.flip_byte(pack_key(PackKind::kData, pack), located->frame_offsets[frame]);
  };
  for (const PackId& pack : {used, spare}) {
    flip(pack, 0);
    for (const VerifyReport& report : {verify(), verify(one)}) {
      ASSERT_EQ(report.damages.size(), 1U);
      EXPECT_EQ(report.damages[0].object, pack_key(PackKind::kData, pack));
      EXPECT_TRUE(report.damages[0].losses.empty());
      EXPECT_EQ(report.damages[0].sound_in, std::set{pack == used ? spare : used});
    }
    flip(pack, 0);
  }
  flip(used, 0);
  flip(spare, 1);
  const VerifyReport apart = verify();
  EXPECT_EQ(apart.damages.size(), 2U);
  for (const Damage& damage : apart.damages) EXPECT_TRUE(damage.losses.empty()) << "other frames";
  flip(spare, 0);
  Losses lost;
  const VerifyReport both = verify();
  for (const Damage& damage : both.damages) {
    if (damage.frame == 0U) {
      EXPECT_EQ(losses_of(damage), (Losses{{one, {blocks(0, 16)}}})) << "of each place";
    } else {
      EXPECT_EQ(damage.sound_in, std::set{used});
    }
    lost.merge(losses_of(damage));
  }
  EXPECT_EQ(lost, (Losses{{one, {blocks(0, 16)}}}));
}

TEST_F(SecondCopies, DamageInOneCopyOfANodeIsWithoutLoss) {
  const SnapshotId one = snapshot(1, {1, 2});
  const auto [used, spare] = copy_node();
  const std::map<PackId, std::uint64_t> offsets = {{used, node_offset(used)}, {spare, node_offset(spare)}};
  const auto flip = [&](const PackId& pack) {
    store_.flip_byte(pack_key(PackKind::kMeta, pack), offsets.at(pack) + 4);
  };
  for (const PackId& pack : {used, spare}) {
    flip(pack);
    const VerifyReport report = verify();
    ASSERT_EQ(report.damages.size(), 1U);
    EXPECT_EQ(report.damages[0].object, pack_key(PackKind::kMeta, pack));
    EXPECT_TRUE(report.damages[0].losses.empty());
    EXPECT_EQ(report.damages[0].sound_in, std::set{pack == used ? spare : used});
    flip(pack);
  }
  flip(used);
  flip(spare);
  const VerifyReport both = verify();
  ASSERT_EQ(both.damages.size(), 2U);
  for (const Damage& damage : both.damages)
    EXPECT_EQ(losses_of(damage), (Losses{{one, {blocks(0, kLeafBlocks)}}}));
}

}  // namespace
}  // namespace ashlar
