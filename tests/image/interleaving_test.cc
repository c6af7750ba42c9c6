// Explores interleavings of everything that changes snapshots: writers, deletions, purges, returns from the
// bin, images that are made, and sessions that are taken away, with writers that sleep or die at any moment
// and answers that are lost. Each seed is one history. In some of them all actors meet at one snapshot, which
// is deleted, brought back and used over and over.
#include <atomic>
#include <limits>
#include <map>
#include <set>

#include "catalog/records.h"
#include "catalog/sessions.h"
#include "image/deletion.h"
#include "image/register.h"
#include "support/battery.h"
#include "support/gated_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

constexpr BatteryRounds kHistories{10'000, 500, 1'000'000};
constexpr std::uint64_t kNotEnded = std::numeric_limits<std::uint64_t>::max();

// A history: some actors on one store.
class History {
 public:
  History(std::uint64_t seed, BatteryTally& tally)
      : tally_(tally),
        prng_(seed),
        gate_(prng_.next()),
        loses_answers_(prng_.below(3) != 0),
        meets_at_one_(prng_.below(4) == 0) {
    make_root(files_);
    for (std::uint64_t number = 1; number <= 3; ++number) {
      EXPECT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
      confirmed_.insert(sample_record(number).id);
    }
  }

  void run() {
    std::vector<std::function<void(std::size_t)>> actors;
    const std::size_t count = 3 + prng_.below(6);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t kind = meets_at_one_ ? kMeets : i < 2 ? 0 : prng_.below(8);
      const std::uint64_t seed = prng_.next();
      actors.push_back([this, kind, seed](std::size_t actor) { act(kind, seed, actor); });
    }
    gate_.run(actors);
    gate_.finish_late_writes();
    come_to_rest();
    check();
  }

 private:
  static constexpr std::uint64_t kMeets = 8;  // the kind of an actor that takes several steps at one snapshot

  void act(std::uint64_t kind, std::uint64_t seed, std::size_t actor) {
    Prng prng(seed);
    GatedObjects objects(objects_, gate_, actor, loses_answers_);
    switch (kind) {
      case 0:
      case 1:
        write(objects, prng, 100 + actor);
        break;
      case 2:
        remove(objects, prng);
        break;
      case 3:
        bring_back(objects, prng);
        break;
      case 4:
      case 5:
        purge(objects);
        break;
      case 6:
        make_image(objects, prng, std::to_string(actor));
        break;
      case kMeets:
        for (std::uint64_t steps = 1 + prng.below(4); steps > 0; --steps)
          meet(objects, prng, fmt::format("{}-{}", actor, steps));
        break;
      default:
        take_away(objects, prng);
    }
  }
  void meet(ObjectStore& objects, Prng& prng, const std::string& name) {
    switch (prng.below(10)) {
      case 0:
        purge(objects);
        break;
      case 1:
      case 2:
      case 3:
        bring_back(objects, prng);
        break;
      case 4:
      case 5:
        make_image(objects, prng, name);
        break;
      default:
        remove(objects, prng);
    }
  }

  void write(GatedObjects& objects, Prng& prng, std::uint64_t number) {
    const SnapshotId id = sample_record(number).id;
    SessionPlan plan{{id}, {}};
    if (prng.below(2) == 0) plan.bases.push_back(any(prng));
    const std::uint64_t dies_at = prng.below(4);  // 3: not at all
    auto session = Session::begin(objects, StoreId{}, plan);
    if (!session.ok()) {
      note_refused(id);
      return;
    }
    if (dies_at == 0) objects.die();
    for (std::uint64_t beats = prng.below(3); beats > 0; --beats) {
      if (!session.value()->beat().ok()) break;
    }
    if (dies_at == 1) objects.die();
    const Status done = session.value()->commit({sample_record(number)});
    if (done.ok()) {
      const std::lock_guard lock(mutex_);
      confirmed_.insert(id);
    } else if (!objects.is_dead() && done.error().text().find("not known") == std::string::npos) {
      note_refused(id);
    }
    if (dies_at == 2) objects.die();
  }
  void note_refused(SnapshotId id) {
    const std::lock_guard lock(mutex_);
    refused_.insert(id);
  }
  SnapshotId any(Prng& prng) { return sample_record(meets_at_one_ ? 1 : 1 + prng.below(3)).id; }

  void remove(ObjectStore& objects, Prng& prng) {
    const SnapshotId id = any(prng);
    std::size_t number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = deletions_[id].size();
      deletions_[id].push_back(kNotEnded);
    }
    const Status done = delete_snapshot(objects, id);
    const std::lock_guard lock(mutex_);
    deletions_[id][number] = ++clock_;
    if (is(done, ErrorCode::kIo)) cut_off_.insert(id);
  }
  void bring_back(ObjectStore& objects, Prng& prng) {
    const SnapshotId id = any(prng);
    const std::uint64_t begun = ++clock_;
    if (!restore_snapshot(objects, id).ok()) return;
    const std::lock_guard lock(mutex_);
    brought_back_[id] = std::max(brought_back_[id], begun);
  }
  void purge(ObjectStore& objects) {
    const auto purged = purge_bin(objects, UtcTime::now());
    if (!purged.ok()) return;
    const std::lock_guard lock(mutex_);
    purged_.insert(purged.value().snapshots.begin(), purged.value().snapshots.end());
  }
  void make_image(ObjectStore& objects, Prng& prng, const std::string& name) {
    ImageRecord wanted;
    wanted.owner = AccountId{1};
    wanted.name = "image-" + name;
    wanted.root_device = "/dev/sda";
    wanted.devices.resize(1);
    wanted.devices[0].name = "/dev/sda";
    wanted.devices[0].content.snapshot = any(prng);
    ImageCatalog images(objects);
    const auto made = register_image(images, SnapshotCatalog(objects), wanted);
    if (!made.ok()) return;
    const std::lock_guard lock(mutex_);
    images_.push_back(made.value());
  }
  void take_away(ObjectStore& objects, Prng& prng) {
    std::vector<Error> unread;
    const auto sessions = list_sessions(objects, unread);
    if (!sessions.ok() || sessions.value().empty()) return;
    const SessionRecord session = sessions.value()[prng.below(sessions.value().size())];
    if (!revoke(objects, session).ok()) return;
    // From here on the writer publishes nothing more. No other actor has moved since.
    for (const SnapshotId id : session.open_snapshots) {
      if (!SnapshotCatalog(objects_).get(id).ok()) note_refused(id);
    }
  }

  // Ends what dead writers left, and purges once more: what no one needs has to be gone then.
  void come_to_rest() {
    std::vector<Error> unread;
    for (const SessionRecord& session : list_sessions(objects_, unread).take())
      EXPECT_TRUE(revoke(objects_, session).ok());
    EXPECT_TRUE(unread.empty());
    EXPECT_TRUE(purge_bin(objects_, UtcTime{1}).ok());
  }

  void check() {
    SnapshotCatalog snapshots(objects_);
    std::set<SnapshotId> seen;
    for (const SnapshotRecord& record : snapshots_in(objects_)) seen.insert(record.id);
    tally_.acked += confirmed_.size() + brought_back_.size() + images_.size();
    for (const SnapshotId id : confirmed_)
      tally_.expect(seen.contains(id) || deletions_.contains(id), tally_.lost, id.text() + " is lost");
    for (const auto& [id, begun] : brought_back_)
      tally_.expect(seen.contains(id) || may_be_deleted_since(id, begun), tally_.lost,
                    id.text() + " was brought back and is lost");
    for (const SnapshotId id : refused_)
      tally_.expect(!seen.contains(id), tally_.wrong, id.text() + " was refused");
    for (const SnapshotId id : purged_)
      tally_.expect(!seen.contains(id), tally_.wrong, id.text() + " was purged");
    for (const ImageRecord& image : images_) {
      for (const SnapshotId id : snapshots_of(image)) {
        // A deletion that was cut off may leave it in the bin, from where the next purge takes it back.
        const bool is_cut_off = cut_off_.contains(id) && snapshots.find_in_bin(id).ok();
        tally_.expect(seen.contains(id) || is_cut_off, tally_.lost, image.id.text() + " lost " + id.text());
      }
    }
    for (const SnapshotId id : snapshots.list_ids().take()) {
      const SnapshotObject object = snapshots.read(id).take();
      tally_.expect(record_of(object) != nullptr, tally_.wrong, id.text() + " is left over");
    }
    EXPECT_TRUE(list_living_sessions(objects_).take().empty());
  }
  // A deletion that ended before the return began, whatever it answered, has no effect after it.
  bool may_be_deleted_since(SnapshotId id, std::uint64_t begun) {
    return std::ranges::any_of(deletions_[id], [&](std::uint64_t ended) { return ended > begun; });
  }

  BatteryTally& tally_;
  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  Prng prng_;
  Gate gate_;
  const bool loses_answers_;
  const bool meets_at_one_;
  std::atomic<std::uint64_t> clock_ = 0;
  std::mutex mutex_;  // guards what the actors note
  std::set<SnapshotId> confirmed_;
  std::set<SnapshotId> refused_;
  std::map<SnapshotId, std::vector<std::uint64_t>> deletions_;  // when each ended
  std::set<SnapshotId> cut_off_;                                // a deletion of which had no answer
  std::map<SnapshotId, std::uint64_t> brought_back_;            // when the last return began
  std::set<SnapshotId> purged_;
  std::vector<ImageRecord> images_;
};

TEST(Interleaving, NoHistoryLosesOrRevivesASnapshot) {
  run_histories(Battery("interleavings of snapshots", kHistories),
                [](std::uint64_t seed, BatteryTally& tally) { History(seed, tally).run(); });
}

}  // namespace
}  // namespace ashlar
