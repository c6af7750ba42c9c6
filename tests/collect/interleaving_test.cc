// Explores interleavings of collections with everything that they race with: writers that store packs, lean
// on those of others and build on a snapshot, deletions, purges, returns from the bin, sessions that are
// taken away; each sleeps or dies at any moment, and answers are lost, or land later. Each seed is one
// history.
//
// The check at the end knows nothing of the collection: every snapshot is read, block by block, through a new
// index; then, after three quiet collections, no pack is left that no snapshot needs.
#include <map>
#include <set>

#include "catalog/records.h"
#include "catalog/sessions.h"
#include "collect/collect.h"
#include "image/deletion.h"
#include "store/meta_store.h"
#include "store/stored_blocks.h"
#include "support/battery.h"
#include "support/gated_objects.h"
#include "support/snapshots.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

constexpr BatteryRounds kHistories{10'000, 300, 1'000'000};
constexpr std::size_t kUniverse = 8;       // segments that writers choose from
constexpr std::size_t kSegmentLength = 4;  // blocks; each is a frame

const std::vector<EncodedSegment>& universe() {
  static const std::vector<EncodedSegment> segments = [] {
    std::vector<EncodedSegment> all;
    for (std::uint64_t i = 0; i < kUniverse; ++i)
      all.push_back(encoded_segment(sealed_segment(seeds_from(100 * i, kSegmentLength)), 1));
    return all;
  }();
  return segments;
}

// The content of a snapshot: some blocks of some segments, in one leaf.
Leaf leaf_of(const std::vector<std::pair<std::size_t, std::size_t>>& blocks) {
  Leaf leaf;
  for (const auto& [segment, block] : blocks) {
    const SegmentId id = universe()[segment].directory.id;
    auto at = std::ranges::find(leaf.segments, id);
    if (at == leaf.segments.end()) at = leaf.segments.insert(at, id);
    const bool goes_on = !leaf.extents.empty() && at - leaf.segments.begin() == leaf.extents.back().segment &&
                         leaf.extents.back().first_block + leaf.extents.back().block_count == block;
    if (goes_on) {
      ++leaf.extents.back().block_count;
      continue;
    }
    leaf.extents.push_back({ExtentKind::kData, 1, static_cast<std::uint16_t>(at - leaf.segments.begin()),
                            static_cast<std::uint16_t>(block)});
  }
  leaf.no_region_hashes = true;
  return leaf;
}

// A store as one process has it open.
struct Opened {
  explicit Opened(ObjectStore& o) : objects(o), index(Index::open_in_memory(o).take()) {
    static_cast<void>(index->catch_up().ok());
  }
  ObjectStore& objects;
  std::unique_ptr<Index> index;
  DamagedFrames damage{objects, StoreRig::id()};
  SegmentReader segments{objects, *index};
  MetaStore nodes{objects, *index};
};

class History {
 public:
  History(std::uint64_t seed, BatteryTally& tally)
      : tally_(tally), prng_(seed), gate_(prng_.next()), loses_answers_(prng_.below(3) != 0) {
    make_root(files_);
    config_.id = StoreRig::id();
    for (std::uint64_t number = 1; number <= 3; ++number) {
      Prng prng(seed + number);
      expect_ok(write(objects_, prng, number, nullptr));
      confirmed_.insert(sample_record(number).id);
    }
    // In half of the histories packs that nothing needs lie there from the start.
    for (std::uint64_t gone = prng_.below(2) * prng_.below(3); gone > 0; --gone) remove(objects_, prng_);
    EXPECT_TRUE(purge_bin(objects_, UtcTime::now()).ok());
  }

  void run() {
    std::vector<std::function<void(std::size_t)>> actors;
    const std::size_t count = 4 + prng_.below(5);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t kind = i < 2 ? i : prng_.below(10);
      const std::uint64_t seed = prng_.next();
      actors.push_back([this, kind, seed](std::size_t actor) { act(kind, seed, actor); });
    }
    gate_.run(actors);
    gate_.finish_late_writes();
    check_snapshots();
    come_to_rest();
    check_snapshots();
    check_nothing_is_left();
  }

 private:
  void act(std::uint64_t kind, std::uint64_t seed, std::size_t actor) {
    Prng prng(seed);
    GatedObjects objects(objects_, gate_, actor, loses_answers_);
    switch (kind) {
      case 0:
      case 2:
      case 3:
        gather(objects, prng, static_cast<unsigned>(prng.below(20)));
        break;
      case 1:
      case 4:
      case 5:
        note(write(objects, prng, 100 + actor, &objects), sample_record(100 + actor).id, objects);
        break;
      case 6:
        remove(objects, prng);
        break;
      case 7:
        static_cast<void>(restore_snapshot(objects, any(prng)).ok());
        break;
      case 8:
        static_cast<void>(purge_bin(objects, UtcTime::now()).ok());
        break;
      default:
        take_away(objects, prng);
    }
  }

  void gather(ObjectStore& objects, Prng& prng, unsigned patience) {
    Opened opened(objects);
    CollectOptions options;
    options.look_every = std::chrono::milliseconds(0);
    options.silent_looks = patience;
    options.threads = 1;
    options.max_live_percent = prng.below(2) == 0 ? 0 : 100;
    CollectProgress progress;
    static_cast<void>(collect({config_, objects, *opened.index, opened.damage}, options, progress, {}).ok());
  }

  // Writes a snapshot as a capture does: known blocks are leaned on, the others stored, then the leaf.
  // `gated` may die on the way.
  Status write(ObjectStore& objects, Prng& prng, std::uint64_t number, GatedObjects* gated) {
    const std::uint64_t dies_at = gated == nullptr ? 99 : prng.below(6);
    const auto pass = [&](std::uint64_t step) {
      if (step == dies_at) gated->die();
    };
    SnapshotRecord record = sample_record(number);
    SessionPlan plan{{record.id}, {}};
    if (gated != nullptr && prng.below(2) == 0) plan.bases.push_back(any(prng));
    Opened opened(objects);  // before the session begins: its index may be old by then
    auto session = TRY(Session::begin(objects, config_.id, plan));
    session->leave_packs();
    pass(0);
    std::vector<std::pair<std::size_t, std::size_t>> blocks;
    for (std::size_t i = 0; i < 10; ++i)
      blocks.emplace_back(prng.below(kUniverse), prng.below(kSegmentLength));
    Leaf leaf = leaf_of(blocks);
    bool is_of_base = false;
    leaf.digest.bytes[0] = static_cast<std::byte>(number);
    if (!plan.bases.empty() && prng.below(2) == 0) {
      const auto base = TRY(SnapshotCatalog(objects).read(plan.bases.front()));
      const auto* gone = std::get_if<GoneSnapshot>(&base);
      const SnapshotRecord& parent = gone != nullptr ? *gone->record : std::get<SnapshotRecord>(base);
      leaf = *TRY(opened.nodes.leaf(parent.root.id));
      is_of_base = true;
    }
    // The blocks of a base need no second look: its session names it.
    if (!is_of_base || prng.below(2) == 0) TRY(store_segments(opened, *session, leaf, prng));
    pass(1);
    MetaWriter nodes(objects, *opened.index, config_.id, session->leaned(), [] { return Status(); });
    const ByteVector encoding = encode(leaf);
    TRY(nodes.put(node_id(encoding), encoding));
    TRY(nodes.finish());
    pass(2);
    if (prng.below(2) == 0) TRY(session->beat());
    record.root = {ChildKind::kNode, node_id(encoding), leaf.digest};
    record.content = volume_digest(record.size, record.root_level, record.root.digest);
    TRY(objects.ensure_durable(session->leaned().keys()));
    pass(3);
    Status done = session->commit({record});
    pass(4);
    return done;
  }

  Status store_segments(Opened& opened, Session& session, const Leaf& leaf, Prng& prng) {
    StoredBlocks stored(opened.segments, session.leaned());
    PackAppender appender(opened.objects, *opened.index, config_.id, session.id());
    const auto used = blocks_used(leaf);
    for (std::size_t i = 0; i < leaf.segments.size(); ++i) {
      if (prng.below(8) == 0) TRY(session.beat());
      if (TRY(stored.has(leaf.segments[i], used[i]))) continue;
      const auto segment = std::ranges::find(universe(), leaf.segments[i],
                                             [](const EncodedSegment& one) { return one.directory.id; });
      TRY(appender.append(*segment));
      if (prng.below(2) == 0) TRY(appender.publish());
    }
    return appender.publish();
  }

  void note(const Status& done, SnapshotId id, const GatedObjects& objects) {
    const std::lock_guard lock(mutex_);
    if (done.ok()) {
      confirmed_.insert(id);
    } else if (!objects.is_dead() && done.error().text().find("not known") == std::string::npos) {
      refused_.insert(id);
    }
  }
  SnapshotId any(Prng& prng) { return sample_record(1 + prng.below(3)).id; }

  void remove(ObjectStore& objects, Prng& prng) {
    const SnapshotId id = any(prng);
    {
      const std::lock_guard lock(mutex_);
      touched_.insert(id);
    }
    best_effort(delete_snapshot(objects, id));
    if (prng.below(2) == 0) static_cast<void>(purge_bin(objects, UtcTime::now()).ok());
  }
  void take_away(ObjectStore& objects, Prng& prng) {
    std::vector<Error> unread;
    const auto sessions = list_sessions(objects, unread);
    if (!sessions.ok() || sessions.value().empty()) return;
    static_cast<void>(revoke(objects, sessions.value()[prng.below(sessions.value().size())]).ok());
  }

  // Every snapshot that is there, or can come back, is whole.
  void check_snapshots() {
    Opened opened(objects_);
    SnapshotCatalog snapshots(objects_);
    std::set<SnapshotId> seen;
    for (const SnapshotId id : snapshots.list_ids().take()) {
      const SnapshotObject object = snapshots.read(id).take();
      if (std::holds_alternative<SnapshotRecord>(object)) seen.insert(id);
      const auto* gone = std::get_if<GoneSnapshot>(&object);
      const SnapshotRecord* record = record_of(object);
      if (record == nullptr || (gone != nullptr && gone->state != GoneState::kBinned)) continue;
      const auto leaf = opened.nodes.leaf(record->root.id);
      ASSERT_TRUE(leaf.ok()) << id.text() << ": " << leaf.error().text();
      for (const LeafExtent& extent : leaf.value()->extents) {
        const auto segment = opened.segments.locate(leaf.value()->segments[extent.segment]);
        ASSERT_TRUE(segment.ok()) << id.text() << ": " << segment.error().text();
        ByteVector blocks(extent.block_count * kBlockBytes);
        const Status read =
            opened.segments.read(*segment.value(), extent.first_block, extent.block_count, blocks);
        ASSERT_TRUE(read.ok()) << id.text() << ": " << read.error().text();
      }
    }
    tally_.acked += confirmed_.size();
    for (const SnapshotId id : confirmed_)
      tally_.expect(seen.contains(id) || touched_.contains(id), tally_.lost, id.text() + " is lost");
    for (const SnapshotId id : refused_)
      tally_.expect(!seen.contains(id), tally_.wrong, id.text() + " was refused");
  }

  void come_to_rest() {
    std::vector<Error> unread;
    for (const SessionRecord& session : list_sessions(objects_, unread).take())
      EXPECT_TRUE(revoke(objects_, session).ok());
    EXPECT_TRUE(purge_bin(objects_, UtcTime{1}).ok());
    for (int i = 0; i < 3; ++i) {
      Opened opened(objects_);
      CollectOptions options;
      options.threads = 1;
      CollectProgress progress;
      const auto done = collect({config_, objects_, *opened.index, opened.damage}, options, progress, {});
      ASSERT_TRUE(done.ok()) << done.error().text();
    }
  }

  void check_nothing_is_left() {
    Opened opened(objects_);
    CollectProgress progress;
    CollectOptions options;
    options.threads = 1;
    const auto plan =
        plan_collection_of({config_, objects_, *opened.index, opened.damage}, options, progress, {});
    ASSERT_TRUE(plan.ok());
    for (const PlannedPack& pack : plan.value().plan.packs)
      EXPECT_EQ(pack.verdict, Verdict::kKeep) << pack_key(pack.use.pack.kind, pack.use.pack.id);
    EXPECT_TRUE(list_session_ids(objects_).take().empty());
    std::size_t lists = 0;
    EXPECT_TRUE(objects_
                    .list("collect/",
                          [&](const ObjectInfo&) -> Status {
                            ++lists;
                            return {};
                          })
                    .ok());
    EXPECT_EQ(lists, 1U) << "only the state is left";
  }

  BatteryTally& tally_;
  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  StoreConfig config_;
  Prng prng_;
  Gate gate_;
  const bool loses_answers_;
  std::mutex mutex_;  // guards what the actors note
  std::set<SnapshotId> confirmed_;
  std::set<SnapshotId> refused_;
  std::set<SnapshotId> touched_;
};

TEST(CollectInterleaving, NoHistoryFreesWhatASnapshotNeedsOrLeavesTheRest) {
  run_histories(Battery("interleavings of collections", kHistories),
                [](std::uint64_t seed, BatteryTally& tally) { History(seed, tally).run(); });
}

}  // namespace
}  // namespace ashlar
