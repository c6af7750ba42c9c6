// Tests what a collection does with packs: on small stores, with each case made by hand.
#include "collect/collect.h"

#include "base/clock.h"
#include "base/random.h"
#include "catalog/collections.h"
#include "catalog/records.h"
#include "catalog/sessions.h"
#include "catalog/volumes.h"
#include "image/deletion.h"
#include "store/meta_store.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

struct CollectRig {
  CollectRig() { config_.id = StoreRig::id(); }

  // Publishes a snapshot that needs these blocks of segments, and returns its id.
  struct Needed {
    SegmentId segment;
    std::uint16_t first = 0;
    std::uint16_t count = 0;
  };
  SnapshotId snapshot_of(const std::vector<Needed>& needed) {
    Leaf leaf;
    for (const Needed& one : needed) {
      leaf.segments.push_back(one.segment);
      leaf.extents.push_back(
          {ExtentKind::kData, one.count, static_cast<std::uint16_t>(leaf.segments.size() - 1), one.first});
    }
    leaf.no_region_hashes = true;
    leaf.digest.bytes[0] = static_cast<std::byte>(++made_);
    const ByteVector encoding = encode(leaf);
    MetaWriter writer(store_.objects(), store_.index(), StoreRig::id(), store_.leaned(),
                      [] { return Status(); });
    expect_ok(writer.put(node_id(encoding), encoding));
    expect_ok(writer.finish());
    SnapshotRecord record = sample_record(made_);
    record.root = {ChildKind::kNode, node_id(encoding), leaf.digest};
    record.content = volume_digest(record.size, record.root_level, record.root.digest);
    expect_ok(publish_snapshot(store_.objects(), record));
    return record.id;
  }
  void destroy(SnapshotId id) {
    static_cast<void>(delete_snapshot(store_.objects(), id).ok());  // it may be in the bin already
    EXPECT_TRUE(purge_bin(store_.objects(), UtcTime::now()).ok());
  }
  Result<CollectReport> run(const CollectOptions& options = {}) {
    CollectProgress progress;
    return collect({config_, store_.objects(), store_.index(), damage_}, options, progress, {});
  }
  CollectReport collected(const CollectOptions& options = {}) { return expect_ok(run(options)); }
  bool is_there(const PackId& pack, PackKind kind = PackKind::kData) {
    return store_.objects().stat(pack_key(kind, pack)).ok();
  }
  // Reads blocks of a segment, through a reader that has seen nothing yet.
  Status read(const Needed& needed) {
    const auto index = Index::open_in_memory(store_.objects()).take();
    TRY(index->catch_up());
    SegmentReader segments(store_.objects(), *index);
    ByteVector blocks(needed.count * kBlockBytes);
    return segments.read(*TRY(segments.locate(needed.segment)), needed.first, needed.count, blocks);
  }
  std::vector<PackId> data_packs() {
    std::vector<PackId> ids;
    for (const ListedPack& pack : expect_ok(list_packs(store_.objects(), PackKind::kData)))
      ids.push_back(pack.id);
    return ids;
  }

  StoreRig store_;
  DamagedFrames damage_{store_.objects(), StoreRig::id()};
  StoreConfig config_;
  std::uint64_t made_ = 0;
  const SealedSegment first_ = sealed_segment(seeds_from(0, 64));
  const SealedSegment second_ = sealed_segment(seeds_from(1000, 64));
};
class Collecting : public testing::Test, protected CollectRig {};

TEST_F(Collecting, WhatNoSnapshotNeedsIsFreed) {
  const PackId kept = store_.publish(first_);
  const PackId dead = store_.publish(second_);
  const SnapshotId one = snapshot_of({{first_.id, 0, 64}});
  const SnapshotId other = snapshot_of({{second_.id, 0, 64}});
  EXPECT_EQ(collected().freed_packs, 0U);
  expect_ok(delete_snapshot(store_.objects(), other));
  EXPECT_EQ(collected().freed_packs, 0U) << "it can come back from the bin";
  destroy(other);
  EXPECT_EQ(collected().freed_packs, 2U) << "the data and the leaf";
  EXPECT_TRUE(is_there(kept));
  EXPECT_FALSE(is_there(dead));
  expect_ok(read({first_.id, 0, 64}));
  destroy(one);
  collected();
  EXPECT_TRUE(data_packs().empty());
}

TEST_F(Collecting, FramesThatAreNeededMoveAndTheOthersGo) {
  const PackId pack = store_.publish(first_);  // frames of 16 blocks
  snapshot_of({{first_.id, 17, 3}});
  const std::uint64_t before = expect_ok(store_.objects().stat(pack_key(PackKind::kData, pack))).size;
  const CollectReport report = collected();
  EXPECT_EQ(report.freed_packs, 1U);
  EXPECT_FALSE(is_there(pack));
  ASSERT_EQ(data_packs().size(), 1U);
  EXPECT_LT(expect_ok(store_.objects().stat(pack_key(PackKind::kData, data_packs().front()))).size,
            before / 2);
  expect_ok(read({first_.id, 16, 16}));
  EXPECT_FALSE(read({first_.id, 0, 1}).ok());
  EXPECT_EQ(collected().freed_packs, 0U) << "a pack that was rewritten has nothing to spare";
}

TEST_F(Collecting, APackWithEnoughOfItNeededStays) {
  const PackId pack = store_.publish(first_);
  snapshot_of({{first_.id, 0, 48}});
  CollectOptions options;
  options.max_live_percent = 50;
  EXPECT_EQ(collected(options).freed_packs, 0U);
  EXPECT_TRUE(is_there(pack));
}

TEST_F(Collecting, RewrittenFramesAreCompressedAnewWhenAsked) {
  store_.publish(sealed_segment({3, 7, 11, 15, 19, 23, 27, 31, 1, 2}), 1);
  const SealedSegment segment = sealed_segment({3, 7, 11, 15, 19, 23, 27, 31, 1, 2});
  snapshot_of({{segment.id, 0, 8}});
  CollectOptions options;
  options.level = 19;
  options.max_live_percent = 100;
  EXPECT_EQ(collected(options).freed_packs, 1U);
  expect_ok(read({segment.id, 0, 8}));
}

TEST_F(Collecting, OfTwoCopiesOneGoesOnceTheOtherWasReadThere) {
  store_.publish(first_);
  store_.publish(first_);
  snapshot_of({{first_.id, 0, 64}});
  ASSERT_EQ(data_packs().size(), 2U);
  EXPECT_EQ(collected().freed_packs, 1U);
  EXPECT_EQ(data_packs().size(), 1U);
  expect_ok(read({first_.id, 0, 64}));
}

// The ids of packs are random, and so is which of two copies a collection looks at first.
TEST_F(Collecting, TheLastSoundCopyStays) {
  for (int i = 0; i < 8; ++i) {
    CollectRig rig;
    const PackId sound = rig.store_.publish(rig.first_);
    rig.store_.publish(rig.first_);
    rig.snapshot_of({{rig.first_.id, 0, 64}});
    for (const SegmentPlace& place : rig.store_.places_of(rig.first_.id)) {
      if (place.pack != sound)
        rig.store_.flip_byte(pack_key(PackKind::kData, place.pack), place.entry.payload_offset + 5);
    }
    rig.collected();
    EXPECT_TRUE(rig.is_there(sound));
    expect_ok(rig.read({rig.first_.id, 0, 64}));
  }
}

TEST_F(Collecting, ADamagedFrameKeepsItsPack) {
  const PackId pack = store_.publish(first_);
  const SegmentPlace place = store_.place_of(first_.id);
  snapshot_of({{first_.id, 0, 16}});
  store_.flip_byte(pack_key(PackKind::kData, pack), place.entry.payload_offset + 5);
  const CollectReport report = collected();
  EXPECT_EQ(report.freed_packs, 0U);
  EXPECT_EQ(report.written_bytes, 0U) << "it is not moved in part";
  EXPECT_EQ(report.plan.sum(Verdict::kDamaged).packs, 1U);
  EXPECT_EQ(report.warnings.size(), 1U);
  EXPECT_TRUE(is_there(pack));
  EXPECT_TRUE(damage_.catalog().find(pack).take().has_value()) << "every later writer knows of it";
  EXPECT_EQ(collected().plan.sum(Verdict::kDamaged).packs, 1U);
}

// A pack with damaged ends may hold anything, so it goes only when all that is needed is elsewhere.
TEST_F(Collecting, APackThatCannotBeReadStaysUntilEverythingIsElsewhere) {
  const PackId pack = store_.publish(first_);
  snapshot_of({{first_.id, 0, 64}});
  store_.flip_byte(pack_key(PackKind::kData, pack), 1);
  const CollectReport report = collected();
  EXPECT_EQ(report.plan.sum(Verdict::kDamaged).packs, 1U);
  EXPECT_EQ(report.freed_packs, 0U);
  EXPECT_TRUE(is_there(pack));
  store_.publish(first_);
  EXPECT_EQ(collected().freed_packs, 1U);
  EXPECT_FALSE(is_there(pack));
}

// No record says that the second place has rotted, too: the last check reads it. Also where the index does
// not know what is in the pack.
TEST_F(Collecting, APackThatCannotBeReadStaysWhileItsSecondPlaceIsRotten) {
  const PackId pack = store_.publish(first_);
  snapshot_of({{first_.id, 0, 64}});
  store_.flip_byte(pack_key(PackKind::kData, pack), 1);
  store_.publish(first_);
  PackId second;
  for (const SegmentPlace& place : store_.places_of(first_.id)) {
    if (place.pack == pack) continue;
    second = place.pack;
    store_.flip_byte(pack_key(PackKind::kData, second), place.entry.payload_offset + 5);
  }
  for (const bool is_known : {true, false}) {
    if (!is_known) expect_ok(store_.index().rebuild());
    const CollectReport report = collected();
    EXPECT_EQ(report.freed_packs, 0U);
    EXPECT_TRUE(is_there(pack));
    EXPECT_TRUE(is_there(second));
  }
}

TEST_F(Collecting, ARateHolds) {
  store_.publish(first_);
  snapshot_of({{first_.id, 0, 48}});
  CollectOptions options;
  options.max_live_percent = 100;
  options.bytes_per_second = 1 << 20;
  const double began = monotonic_seconds();
  const CollectReport report = collected(options);
  ASSERT_GT(report.written_bytes, 100'000U);
  // Each byte is read and written.
  EXPECT_GT(monotonic_seconds() - began, 1.5 * static_cast<double>(report.written_bytes) / (1 << 20));
}

// A damaged pack is not kept for long once it is sound elsewhere, or not needed.
TEST_F(Collecting, APackWithDamageThatNothingNeedsIsRewritten) {
  const PackId pack = store_.publish(first_);
  const SegmentPlace place = store_.place_of(first_.id);
  snapshot_of({{first_.id, 16, 48}});
  store_.flip_byte(pack_key(PackKind::kData, pack), place.entry.payload_offset + 5);
  damage_.report(pack, first_.id, 0, "found by a scrub");
  CollectOptions options;
  options.max_live_percent = 0;
  const CollectReport report = collected(options);
  EXPECT_EQ(report.plan.sum(Verdict::kRewrite).packs, 1U);
  EXPECT_EQ(report.freed_packs, 1U);
  EXPECT_FALSE(is_there(pack));
  EXPECT_FALSE(damage_.catalog().find(pack).take().has_value());
}

TEST_F(Collecting, NothingIsFreedWhileASnapshotOrANodeOrASessionCannotBeRead) {
  store_.publish(second_);  // dead
  store_.publish(first_);
  const SnapshotId id = snapshot_of({{first_.id, 0, 64}});
  const std::string record = SnapshotCatalog::key_of(id);
  const ByteVector good = store_.bytes_of(record);
  store_.flip_byte(record, 100);
  EXPECT_TRUE(is(run(), ErrorCode::kCorrupt));
  store_.overwrite(record, good);
  const std::string session = "sessions/" + random_id<SessionId>().hex();
  expect_ok(store_.objects().put_if_absent(session, as_byte_span("no session")));
  EXPECT_TRUE(is(run(), ErrorCode::kCorrupt));
  expect_ok(store_.objects().remove(session));
  const auto metas = expect_ok(list_packs(store_.objects(), PackKind::kMeta));
  const std::string meta = pack_key(PackKind::kMeta, metas.front().id);
  const ByteVector nodes = store_.bytes_of(meta);
  store_.flip_byte(meta, kPackHeaderBytes + 9);
  EXPECT_TRUE(is(run(), ErrorCode::kCorrupt));
  store_.overwrite(meta, nodes);
  EXPECT_EQ(data_packs().size(), 2U);
  EXPECT_EQ(collected().freed_packs, 2U)
      << "the dead one, and the nodes that were recorded as damaged, moved";
}

TEST_F(Collecting, ARunThatWasCutOffFindsWhatItStoredUntilTheSecondCollection) {
  SessionId session;
  {
    auto writer = expect_ok(Session::begin(store_.objects(), StoreRig::id(), {{SnapshotId{77}}, {}}));
    session = writer->id();
    PackAppender appender(store_.objects(), store_.index(), StoreRig::id(), session);
    expect_ok(appender.append(encoded_segment(second_)));
    expect_ok(appender.publish());
    EXPECT_EQ(collected().freed_packs, 0U) << "its writer is at work";
    writer->leave_packs();
  }
  const CollectReport first = collected();
  EXPECT_EQ(first.freed_packs, 0U);
  EXPECT_EQ(first.plan.sum(Verdict::kPassOver).packs, 1U);
  EXPECT_EQ(collected().freed_packs, 1U);
  EXPECT_FALSE(find_session(store_.objects(), session).ok());
}

TEST_F(Collecting, AWriterKeepsWhatItLeansOnAndLeansOnNothingElse) {
  const PackId leaned = store_.publish(first_);
  const PackId other = store_.publish(second_);
  auto writer = expect_ok(Session::begin(store_.objects(), StoreRig::id(), {{SnapshotId{77}}, {}}));
  EXPECT_TRUE(expect_ok(writer->leaned().lean_on(PackKind::kData, leaned)));
  std::jthread collector([&] { EXPECT_EQ(collected().kept_packs, 1U); });
  while (CollectionCatalog(store_.objects()).state().take().phase != CollectionPhase::kBarrier)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(is_there(other)) << "it waits for the writer";
  expect_ok(writer->beat());
  EXPECT_FALSE(expect_ok(writer->leaned().lean_on(PackKind::kData, other)));
  EXPECT_EQ(expect_ok(find_session(store_.objects(), writer->id())).keeps, std::vector<PackId>{leaned});
  collector.join();
  EXPECT_TRUE(is_there(leaned));
  EXPECT_FALSE(is_there(other));
}

// Calls `act` when the sessions were listed for the n-th time since packs were condemned.
class AfterListing : public ForwardingObjects {
 public:
  AfterListing(ObjectStore& inner, int at, std::function<void()> act)
      : ForwardingObjects(inner), inner_(inner), left_(at), act_(std::move(act)) {}
  Status list(std::string_view prefix, const std::function<Status(const ObjectInfo&)>& visit) override {
    TRY(ForwardingObjects::list(prefix, visit));
    const bool counts =
        prefix == "sessions/" && TRY(CollectionCatalog(inner_).state()).phase == CollectionPhase::kBarrier;
    if (counts && --left_ == 0) act_();
    return {};
  }

 private:
  ObjectStore& inner_;
  int left_;
  const std::function<void()> act_;
};

// While packs are condemned, a writer that keeps one publishes a snapshot and ends. Another one begins on it,
// and it is purged. None of this is in the list of sessions that the collection has read.
TEST_F(Collecting, APurgedBaseOfAWriterThatBeganMeanwhileIsNeeded) {
  const PackId pack = store_.publish(first_);
  std::unique_ptr<Session> writer;
  AfterListing objects(store_.objects(), 2, [&] {
    const SnapshotId base = snapshot_of({{first_.id, 0, 64}});
    writer = expect_ok(Session::begin(store_.objects(), StoreRig::id(), {{SnapshotId{77}}, {base}}));
    destroy(base);
  });
  CollectProgress progress;
  const auto done = collect({config_, objects, store_.index(), damage_}, {}, progress, {});
  ASSERT_TRUE(done.ok()) << done.error().text();
  ASSERT_TRUE(writer != nullptr);
  EXPECT_TRUE(is_there(pack));
  writer.reset();
  for (int i = 0; i < 2; ++i) collected();
  EXPECT_FALSE(is_there(pack));
}

TEST_F(Collecting, NothingIsFreedWhileAVolumeNeedsASnapshotThatIsGone) {
  const PackId pack = store_.publish(first_);
  const SnapshotId base = snapshot_of({{first_.id, 0, 64}});
  VolumeRecord volume;
  volume.id = VolumeId{5};
  volume.store = StoreRig::id();
  volume.base = base;
  volume.size = ByteCount{10 * kBlockBytes};
  ASSERT_FINE(VolumeCatalog(store_.objects()).publish(volume));
  const std::string key = SnapshotCatalog::key_of(base);
  const ByteVector record = store_.bytes_of(key);
  expect_ok(store_.objects().remove(key));
  const auto refused = run();
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().text().find(base.text()), std::string::npos);
  EXPECT_TRUE(is_there(pack));
  expect_ok(store_.objects().put_if_absent(key, record));
  EXPECT_EQ(collected().freed_packs, 0U);
}

TEST_F(Collecting, ADamagedStateIsGivenUpForAnEpochThatNoSessionHasSeen) {
  CollectionCatalog collections(store_.objects());
  const PackId dead = store_.publish(second_);
  collected();
  EXPECT_FALSE(is_there(dead));
  const std::uint64_t before = expect_ok(collections.state()).epoch;
  EXPECT_TRUE(is(collections.reset(StoreRig::id()), ErrorCode::kInvalid));
  store_.flip_byte("collect/state", 60);
  EXPECT_TRUE(is(run(), ErrorCode::kCorrupt));
  EXPECT_TRUE(is(Session::begin(store_.objects(), StoreRig::id(), {}), ErrorCode::kCorrupt));
  ASSERT_FINE(collections.reset(StoreRig::id()));
  EXPECT_GT(expect_ok(collections.state()).epoch, before);
  const PackId other = store_.publish(second_);
  EXPECT_EQ(collected().freed_packs, 1U);
  EXPECT_FALSE(is_there(other));
}

TEST_F(Collecting, ASecondCollectionIsRefusedWhileOneRuns) {
  const auto other = expect_ok(Session::begin(store_.objects(), StoreRig::id(), {}));
  CollectionState state;
  state.store = StoreRig::id();
  state.collector = other->id();
  ASSERT_FINE(CollectionCatalog(store_.objects()).advance({}, state));
  const auto refused = run();
  ASSERT_TRUE(is(refused, ErrorCode::kBusy));
  EXPECT_NE(refused.error().text().find(other->id().hex()), std::string::npos);
}

// Another process takes the collection over, at each moment at which writers may not have seen the list.
TEST_F(Collecting, OneThatIsTakenOverFreesNothing) {
  bool was_reached = true;
  int taken = 0;
  for (int at = 0; was_reached; ++at) {
    SCOPED_TRACE(at);
    CollectRig rig;
    rig.store_.publish(rig.first_);
    const PackId dead = rig.store_.publish(rig.second_);
    rig.snapshot_of({{rig.first_.id, 0, 64}});
    CollectionCatalog collections(rig.store_.objects());
    bool is_taken = false;
    InterruptedObjects objects(rig.store_.objects(), at, [&] {
      const CollectionState state = expect_ok(collections.state());
      if (state.phase != CollectionPhase::kBarrier) return;
      CollectionState idle = state;
      idle.phase = CollectionPhase::kIdle;
      idle.list = {};
      idle.collector = {};
      expect_ok(collections.advance(state, idle));
      is_taken = true;
    });
    const auto index = Index::open_in_memory(objects).take();
    expect_ok(index->catch_up());
    DamagedFrames damage(objects, StoreRig::id());
    CollectOptions options;
    options.threads = 1;
    CollectProgress progress;
    const auto done = collect({rig.config_, objects, *index, damage}, options, progress, {});
    was_reached = objects.acted();
    taken += is_taken ? 1 : 0;
    EXPECT_EQ(done.ok(), !is_taken);
    EXPECT_EQ(rig.is_there(dead), is_taken);
  }
  EXPECT_GT(taken, 0);
}

// Each operation of a collection is its last one; the next collection, of another process, ends the work.
TEST_F(Collecting, KilledAnywhereTheNextOneGoesOn) {
  bool died = true;
  for (int lives = 0; died; ++lives) {
    SCOPED_TRACE(lives);
    CollectRig rig;
    rig.store_.publish(rig.first_);
    const PackId dead = rig.store_.publish(rig.second_);
    rig.snapshot_of({{rig.first_.id, 17, 3}});
    DyingObjects dying(rig.store_.objects(), lives);
    {
      const auto index = Index::open_in_memory(dying).take();
      static_cast<void>(index->catch_up().ok());
      CollectOptions options;
      options.threads = 1;
      CollectProgress progress;
      DamagedFrames damage(dying, StoreRig::id());
      static_cast<void>(collect({rig.config_, dying, *index, damage}, options, progress, {}).ok());
    }
    died = dying.died();
    expect_ok(rig.read({rig.first_.id, 16, 16}));
    std::vector<Error> unread;
    for (const SessionRecord& session : expect_ok(list_sessions(rig.store_.objects(), unread)))
      expect_ok(revoke(rig.store_.objects(), session));
    ASSERT_FINE(rig.store_.index().rebuild());
    for (int i = 0; i < 3; ++i) rig.collected();
    expect_ok(rig.read({rig.first_.id, 16, 16}));
    EXPECT_FALSE(rig.is_there(dead));
    EXPECT_EQ(rig.data_packs().size(), 1U);
    EXPECT_TRUE(expect_ok(list_session_ids(rig.store_.objects())).empty());
  }
}

}  // namespace
}  // namespace ashlar
