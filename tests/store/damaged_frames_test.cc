// Tests of known damage: no writer relies on it, readers try it last, and what a read finds is recorded.
#include "store/damaged_frames.h"

#include <gtest/gtest.h>

#include "store/meta_store.h"
#include "store/stored_blocks.h"
#include "support/forwarding_objects.h"
#include "support/store_rig.h"
#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

// A store whose objects can't be changed.
class ReadOnlyObjects : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;
  Status put_if_absent(std::string_view, ByteSpan, Lasts) override {
    return Error(ErrorCode::kIo, "read-only");
  }
  Status replace(std::string_view, ByteSpan, ByteSpan, Lasts) override {
    return Error(ErrorCode::kIo, "read-only");
  }
};

class KnownDamage : public testing::Test {
 protected:
  static constexpr std::size_t kFrame = 16;  // blocks of a frame; the segment has four

  void SetUp() override { pack_ = store_.publish(segment_); }

  // Records a frame as another process does.
  void record(const PackId& pack, std::size_t frame) {
    DamageRecord found;
    found.pack = pack;
    found.segments[segment_.id].damaged[frame] = true;
    expect_ok(catalog_.add(found));
    expect_ok(damage_.refresh());
  }
  void record_whole(const PackId& pack, PackKind kind = PackKind::kData) {
    DamageRecord found;
    found.kind = kind;
    found.pack = pack;
    found.is_whole = true;
    expect_ok(catalog_.add(found));
    expect_ok(damage_.refresh());
  }
  // Publishes the segment in another pack too and returns its id.
  PackId publish_copy() {
    store_.publish(encoded_segment(segment_));
    for (const SegmentPlace& place : store_.places_of(segment_.id)) {
      if (place.pack != pack_) return place.pack;
    }
    return {};
  }
  void rot(const PackId& pack, std::size_t frame) {
    const auto located = expect_ok(SegmentReader(store_.objects(), store_.index()).locate(segment_.id));
    store_.flip_byte(pack_key(PackKind::kData, pack), located->frame_offsets[frame]);
  }
  Status read(SegmentReader& reader, std::size_t first, std::size_t count) {
    const auto located = TRY(reader.locate(segment_.id));
    AlignedBuffer out(count * kBlockBytes);
    TRY(reader.read(*located, first, count, out.span()));
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_EQ(block_id(out.span().subspan(i * kBlockBytes, kBlockBytes)), segment_.blocks[first + i]);
    return {};
  }
  std::size_t records() { return expect_ok(catalog_.list_ids()).size(); }

  StoreRig store_;
  SealedSegment segment_ = sealed_segment(seeds_from(0, 4 * kFrame));
  PackId pack_;
  DamageCatalog catalog_{store_.objects(), StoreRig::id()};
  DamagedFrames damage_{store_.objects(), StoreRig::id()};
  SegmentReader reader_{store_.objects(), store_.index(), &damage_};
};

TEST_F(KnownDamage, ADamagedFrameIsNotOneToRelyOn) {
  EXPECT_EQ(expect_ok(reader_.locate_sound(segment_.id, store_.leaned())).present, block_set(0, 64));
  record(pack_, 2);
  EXPECT_EQ(expect_ok(reader_.locate_sound(segment_.id, store_.leaned())).present,
            block_set(0, 64) & ~block_set(32, 16));
  EXPECT_EQ(expect_ok(reader_.locate_sound(segment_.id, store_.leaned(), DamagedPlaces::kCounted)).present,
            block_set(0, 64));
  EXPECT_TRUE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(0, 32))));
  EXPECT_FALSE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(31, 2))));
  // Who ignores damage would rely on the frame.
  EXPECT_TRUE(expect_ok(
      StoredBlocks(reader_, store_.leaned(), DamagedPlaces::kCounted).has(segment_.id, block_set(31, 2))));
  const PackId other = publish_copy();
  EXPECT_TRUE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(31, 2))))
      << "the copy is sound";
  record(other, 2);
  EXPECT_FALSE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(31, 2))));
  record(other, 0);
  EXPECT_TRUE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(0, 16))))
      << "the first place has it";
}

TEST_F(KnownDamage, NothingInADamagedPackIsOneToRelyOn) {
  record_whole(pack_);
  EXPECT_EQ(reader_.locate_sound(segment_.id, store_.leaned()).error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(0, 1))));
  ASSERT_FINE(read(reader_, 0, 64));
  publish_copy();
  EXPECT_TRUE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(0, 64))));
}

TEST_F(KnownDamage, ABlockOfADamagedFrameIsNew) {
  record(pack_, 1);
  std::vector<SealedSegment> sealed;
  Admission admission(store_.index(), reader_, store_.leaned(), [&](SealedSegment segment) {
    sealed.push_back(std::move(segment));
    return Status();
  });
  std::vector<ByteVector> blocks;
  std::vector<const std::byte*> data;
  for (std::size_t i = 0; i < segment_.blocks.size(); ++i) blocks.push_back(block_of(i));
  for (const ByteVector& block : blocks) data.push_back(block.data());
  std::vector<BlockPlace> places(blocks.size());
  expect_ok(admission.admit(segment_.blocks, data, places));
  expect_ok(admission.seal());
  EXPECT_EQ(admission.counters().new_blocks, kFrame);
  ASSERT_EQ(sealed.size(), 1U);
  EXPECT_EQ(sealed[0].blocks, std::vector(segment_.blocks.begin() + 16, segment_.blocks.begin() + 32));
  EXPECT_EQ(admission.id_of(places[0].segment), segment_.id);
  EXPECT_EQ(admission.id_of(places[16].segment), sealed[0].id);
}

TEST_F(KnownDamage, AParentsSegmentInDamagedPlacesHasAHandleAndNoKnownBlocks) {
  record_whole(pack_);
  Admission admission(store_.index(), reader_, store_.leaned(), [](SealedSegment) { return Status(); });
  EXPECT_EQ(admission.id_of(expect_ok(admission.bring_in(segment_.id))), segment_.id);
  const ByteVector block = block_of(0);
  const std::byte* data = block.data();
  std::vector<BlockPlace> places(1);
  expect_ok(admission.admit(std::span(segment_.blocks).first(1), std::span(&data, 1), places));
  EXPECT_EQ(admission.counters().new_blocks, 1U);
}

TEST_F(KnownDamage, ReadsTakeADamagedFrameFromAnotherPlaceAndTryItLast) {
  record(pack_, 1);
  ASSERT_FINE(read(reader_, 10, 20));  // the record is wrong: the bytes match their ids
  const PackId other = publish_copy();
  rot(pack_, 1);
  ASSERT_FINE(read(reader_, 10, 20));
  EXPECT_EQ(records(), 1U) << "the rotten place is not even tried";
  record(other, 2);
  ASSERT_FINE(read(reader_, 0, 64));
}

TEST_F(KnownDamage, ALostFrameIsAnErrorThatNamesIt) {
  record(pack_, 1);
  expect_ok(catalog_.mark_lost(PackKind::kData, pack_));
  expect_ok(damage_.refresh());
  ASSERT_FINE(read(reader_, 0, 16));
  const Status got = read(reader_, 20, 1);
  ASSERT_EQ(got.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(got.error().text().find("segment " + segment_.id.hex() + ", frame 1: was given up as lost"),
            std::string::npos)
      << got.error().text();
  publish_copy();
  ASSERT_FINE(read(reader_, 20, 1));
}

TEST_F(KnownDamage, WhatAReadFindsWrongIsRecordedOnce) {
  rot(pack_, 3);
  EXPECT_EQ(read(reader_, 0, 64).error().code(), ErrorCode::kCorrupt);
  const DamageRecord found = *expect_ok(catalog_.find(pack_));
  EXPECT_EQ(found.segments.at(segment_.id).damaged, FrameSet().set(3));
  EXPECT_EQ(found.revision, 1U);
  EXPECT_FALSE(read(reader_, 50, 1).ok());
  EXPECT_EQ(expect_ok(catalog_.find(pack_))->revision, 1U);
  const auto notes = damage_.take_notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find(pack_.hex()), std::string::npos) << notes[0];
  EXPECT_TRUE(damage_.take_notes().empty());
  EXPECT_FALSE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(48, 1))));
}

TEST_F(KnownDamage, AnAbsentFrameIsNotDamage) {
  EncodedSegment encoded = encoded_segment(sealed_segment(seeds_from(500, 64)));
  const SegmentId id = encoded.directory.id;
  make_absent(encoded, 1, 1);
  store_.publish(std::move(encoded));
  const auto located = expect_ok(reader_.locate(id));
  AlignedBuffer out(kBlockBytes);
  EXPECT_EQ(reader_.read(*located, 20, 1, out.span()).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(records(), 0U);
}

TEST_F(KnownDamage, AnErrorThatIsNotDamageIsNotRecorded) {
  class Away : public ForwardingObjects {
   public:
    using ForwardingObjects::ForwardingObjects;
    Result<std::shared_ptr<ObjectReader>> open(std::string_view, ReadMode) override {
      return Error(ErrorCode::kIo, "too many open files");
    }
  };
  ASSERT_FINE(reader_.locate(segment_.id));
  Away away(store_.objects());
  SegmentReader reader(away, store_.index(), &damage_);
  EXPECT_EQ(read(reader, 0, 1).error().code(), ErrorCode::kIo);
  EXPECT_EQ(records(), 0U);
}

TEST_F(KnownDamage, AStoreThatCantBeWrittenIsAWarningAndThisProcessStillKnows) {
  rot(pack_, 0);
  ReadOnlyObjects read_only(store_.objects());
  DamagedFrames damage(read_only, StoreRig::id());
  SegmentReader reader(read_only, store_.index(), &damage);
  EXPECT_EQ(read(reader, 0, 1).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(records(), 0U);
  const auto notes = damage.take_notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("could not be recorded"), std::string::npos) << notes[0];
  expect_ok(damage.refresh());
  EXPECT_FALSE(expect_ok(StoredBlocks(reader, store_.leaned()).has(segment_.id, block_set(0, 1))));
}

TEST_F(KnownDamage, DamageOfAPackThatIsGoneIsNotRecorded) {
  expect_ok(store_.objects().remove(pack_key(PackKind::kData, pack_)));
  damage_.report(pack_, segment_.id, 0, "a frame");
  EXPECT_EQ(records(), 0U);
}

TEST_F(KnownDamage, ARecordThatCantBeUnderstoodIsDamageOfTheWholePack) {
  const std::string rubbish = "rubbish";
  expect_ok(store_.objects().put_if_absent(DamageCatalog::key_of(pack_), as_byte_span(rubbish)));
  expect_ok(damage_.refresh());
  EXPECT_TRUE(damage_.is_whole(pack_));
  EXPECT_FALSE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(0, 1))));
  ASSERT_FINE(read(reader_, 0, 64));
}

TEST_F(KnownDamage, WhatIsTakenBackCountsAgain) {
  record(pack_, 1);
  EXPECT_FALSE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(16, 1))));
  expect_ok(catalog_.update(PackKind::kData, pack_, [](DamageRecord& record) { record.segments.clear(); }));
  expect_ok(damage_.refresh());
  EXPECT_TRUE(expect_ok(StoredBlocks(reader_, store_.leaned()).has(segment_.id, block_set(16, 1))));
  EXPECT_FALSE(damage_.any());
}

TEST_F(KnownDamage, ACommitSeesWhatWasFoundSinceItBeganAndNothingOlder) {
  record(pack_, 1);
  const auto began = damage_.now();
  EXPECT_TRUE(damage_.check_unchanged(began, {pack_}).ok());
  expect_ok(damage_.refresh());
  EXPECT_TRUE(damage_.check_unchanged(began, {pack_}).ok());
  record(pack_, 2);
  const Status changed = damage_.check_unchanged(began, {pack_});
  ASSERT_TRUE(is(changed, ErrorCode::kBusy));
  EXPECT_NE(changed.error().text().find("run again"), std::string::npos);
  EXPECT_TRUE(damage_.check_unchanged(began, {PackId{}}).ok()) << "another pack";
  EXPECT_TRUE(damage_.check_unchanged(damage_.now(), {pack_}).ok()) << "the next run";
}

TEST_F(KnownDamage, AStoreWithoutDamageCostsOneList) {
  class Counting : public ForwardingObjects {
   public:
    using ForwardingObjects::ForwardingObjects;
    Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
      ++requests;
      return ForwardingObjects::open(key, mode);
    }
    Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
      ++requests;
      return ForwardingObjects::list(prefix, visit);
    }
    int requests = 0;
  };
  Counting counting(store_.objects());
  DamagedFrames damage(counting, StoreRig::id());
  expect_ok(damage.refresh());
  EXPECT_EQ(counting.requests, 1);
  EXPECT_FALSE(damage.any());
}

// Meta packs.
class KnownDamageOfNodes : public testing::Test {
 protected:
  static NodeId id_of(std::uint64_t leaf) { return node_id(encode(synthetic_leaf(leaf))); }
  std::unique_ptr<MetaWriter> writer() {
    return std::make_unique<MetaWriter>(
        store_.objects(), store_.index(), StoreRig::id(), store_.leaned(), [] { return Status(); }, &damage_);
  }
  // Puts leaves as one session does and returns how many were written.
  std::uint64_t put(const std::vector<std::uint64_t>& leaves) {
    const auto session = writer();
    for (const std::uint64_t leaf : leaves)
      expect_ok(session->put(id_of(leaf), encode(synthetic_leaf(leaf))));
    expect_ok(session->finish());
    return session->nodes_written();
  }
  NodePlace place_of(std::uint64_t leaf) { return *expect_ok(store_.index().find_node(id_of(leaf))); }

  StoreRig store_;
  DamagedFrames damage_{store_.objects(), StoreRig::id()};
};

TEST_F(KnownDamageOfNodes, ADamagedNodeIsWrittenAgain) {
  put({1, 2});
  const PackId pack = place_of(1).pack;
  damage_.report(pack, id_of(1), "a node");
  EXPECT_FALSE(expect_ok(writer()->is_in_whole_pack(id_of(1))));
  EXPECT_TRUE(expect_ok(writer()->is_in_whole_pack(id_of(2))));
  EXPECT_EQ(put({1, 2}), 1U);
  EXPECT_TRUE(expect_ok(writer()->is_in_whole_pack(id_of(1)))) << "in the new pack";
  EXPECT_EQ(put({1, 2}), 0U);
}

TEST_F(KnownDamageOfNodes, NothingInADamagedPackIsOneToRelyOn) {
  put({1, 2});
  DamageRecord found;
  found.kind = PackKind::kMeta;
  found.pack = place_of(1).pack;
  found.is_whole = true;
  expect_ok(damage_.catalog().add(found));
  expect_ok(damage_.refresh());
  EXPECT_EQ(put({1, 2}), 2U);
}

TEST_F(KnownDamageOfNodes, ARottenNodeIsRecordedAndReadFromAnotherPack) {
  put({1, 2});
  const NodePlace rotten = place_of(1);
  store_.flip_byte(pack_key(PackKind::kMeta, rotten.pack), rotten.entry.offset + 5);
  MetaStore alone(store_.objects(), store_.index(), &damage_);
  EXPECT_EQ(alone.leaf(id_of(1)).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(damage_.take_notes().size(), 1U);
  const DamageRecord found = *expect_ok(damage_.catalog().find(rotten.pack));
  EXPECT_EQ(found.kind, PackKind::kMeta);
  EXPECT_EQ(found.nodes, (std::map<NodeId, NodeDamage>{{id_of(1), NodeDamage::kDamaged}}));
  EXPECT_EQ(put({1, 2}), 1U);
  MetaStore nodes(store_.objects(), store_.index(), &damage_);
  EXPECT_EQ(*expect_ok(nodes.leaf(id_of(1))), synthetic_leaf(1));
}

TEST_F(KnownDamageOfNodes, ALostNodeIsAnErrorThatNamesIt) {
  put({1});
  damage_.report(place_of(1).pack, id_of(1), "a node");
  expect_ok(damage_.catalog().mark_lost(PackKind::kMeta, place_of(1).pack));
  expect_ok(damage_.refresh());
  MetaStore nodes(store_.objects(), store_.index(), &damage_);
  const auto got = nodes.leaf(id_of(1));
  ASSERT_TRUE(is(got, ErrorCode::kCorrupt));
  EXPECT_NE(got.error().text().find("node " + id_of(1).hex() + ": was given up as lost"), std::string::npos);
}

}  // namespace
}  // namespace ashlar
