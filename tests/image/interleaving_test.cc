// Explores interleavings of everything that changes snapshots: writers, deletions, purges, returns from the
// bin, images that are made, and sessions that are taken away, with writers that sleep or die at any moment
// and answers that are lost. Each seed is one history.
#include <cstdlib>
#include <map>
#include <set>

#include "catalog/records.h"
#include "catalog/sessions.h"
#include "image/deletion.h"
#include "image/register.h"
#include "support/gated_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kHistories = 500;
#else
constexpr std::uint64_t kHistories = 10'000;
#endif

// A history: some actors on one store.
class History {
 public:
  explicit History(std::uint64_t seed)
      : prng_(seed), gate_(prng_.next()), loses_answers_(prng_.below(3) != 0) {
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
      const std::uint64_t kind = i < 2 ? 0 : prng_.below(8);
      const std::uint64_t seed = prng_.next();
      actors.push_back([this, kind, seed](std::size_t actor) { act(kind, seed, actor); });
    }
    gate_.run(actors);
    gate_.finish_late_writes();
    come_to_rest();
    check();
  }

 private:
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
        make_image(objects, prng, actor);
        break;
      default:
        take_away(objects, prng);
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
  SnapshotId any(Prng& prng) { return sample_record(1 + prng.below(3)).id; }

  void remove(ObjectStore& objects, Prng& prng) {
    const SnapshotId id = any(prng);
    {
      const std::lock_guard lock(mutex_);
      touched_.insert(id);
    }
    best_effort(delete_snapshot(objects, id));
  }
  void bring_back(ObjectStore& objects, Prng& prng) {
    const auto back = restore_snapshot(objects, any(prng));
    static_cast<void>(back.ok());
  }
  void purge(ObjectStore& objects) {
    const auto purged = purge_bin(objects, UtcTime::now());
    if (!purged.ok()) return;
    const std::lock_guard lock(mutex_);
    purged_.insert(purged.value().snapshots.begin(), purged.value().snapshots.end());
  }
  void make_image(ObjectStore& objects, Prng& prng, std::size_t actor) {
    ImageRecord wanted;
    wanted.owner = AccountId{1};
    wanted.name = "image-" + std::to_string(actor);
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
    for (const SnapshotId id : confirmed_) {
      EXPECT_TRUE(seen.contains(id) || touched_.contains(id)) << id.text() << " is lost";
    }
    for (const SnapshotId id : refused_) EXPECT_FALSE(seen.contains(id)) << id.text() << " was refused";
    for (const SnapshotId id : purged_) EXPECT_FALSE(seen.contains(id)) << id.text() << " was purged";
    for (const ImageRecord& image : images_) {
      for (const SnapshotId id : snapshots_of(image))
        EXPECT_TRUE(seen.contains(id) || snapshots.find_in_bin(id).ok())
            << image.id.text() << " lost " << id.text();
    }
    for (const SnapshotId id : snapshots.list_ids().take()) {
      const SnapshotObject object = snapshots.read(id).take();
      EXPECT_NE(record_of(object), nullptr) << id.text() << " is left over";
    }
    EXPECT_TRUE(list_living_sessions(objects_).take().empty());
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  Prng prng_;
  Gate gate_;
  const bool loses_answers_;
  std::mutex mutex_;  // guards what the actors note
  std::set<SnapshotId> confirmed_;
  std::set<SnapshotId> refused_;
  std::set<SnapshotId> touched_;
  std::set<SnapshotId> purged_;
  std::vector<ImageRecord> images_;
};

TEST(Interleaving, NoHistoryLosesOrRevivesASnapshot) {
  const bool is_long = std::getenv("ASHLAR_LONG_TESTS") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  const std::uint64_t first = is_long ? random_u64() >> 1U : 20261130;
  for (std::uint64_t seed = first; seed < first + kHistories; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History(seed).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ashlar
