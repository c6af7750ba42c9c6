// CrashBattery: runs a flow of steps once on a simulated disk, builds legal states of that disk after a power
// cut before each of its operations, and checks each state: what was acknowledged is there, the step that was
// cut off is done or not done, and runs again.
#pragma once

#include <array>
#include <functional>

#include "action/account_images.h"
#include "flow/crash_known.h"

namespace ashlar {

// A step of a flow at work, as a process of its own.
class Stage {
 public:
  Stage(SimulatedFileSystem& disk, Known& known_things) : files(disk), known(known_things) {}

  // Opens a store at its first use.
  Result<Repo*> repo(const std::string& store) {
    auto& repo = repos_[store];
    if (!repo) repo = TRY(Repo::open(files, StoreAddress{store}, simulated_host()));
    return repo.get();
  }
  // Returns the parts for a capture, with an index of another disk once that was given.
  Result<WriteParts> write_parts(const std::string& store) {
    Repo& here = *TRY(repo(store));
    if (!seen_) return here.write_parts();
    TRY(look_at(here, store));
    return WriteParts{here.config(), here.objects(),   *index_, *segments_,
                      *nodes_,       here.snapshots(), *damage_};
  }
  void use_index_of(const SimulatedFileSystem& other) { seen_ = &other; }
  Caller caller() { return {AccountId{1}, notices_, {}}; }

  SimulatedFileSystem& files;
  Known& known;  // a step that succeeds brings it up to date

 private:
  Status look_at(Repo& here, const std::string& store) {
    const auto own = files.before(files.operations());
    files.become(*seen_);
    objects_ = std::make_unique<LocalObjectStore>(files, store);
    index_ = TRY(Index::open_in_memory(*objects_, here.config().hook_rate));
    TRY(index_->catch_up());
    files.become(*own);
    damage_ = std::make_unique<DamagedFrames>(*objects_, here.config().id);
    segments_ = std::make_unique<SegmentReader>(*objects_, *index_);
    nodes_ = std::make_unique<MetaStore>(*objects_, *index_);
    return {};
  }

  CollectedNotices notices_;
  std::map<std::string, std::unique_ptr<Repo>> repos_;
  const SimulatedFileSystem* seen_ = nullptr;
  std::unique_ptr<LocalObjectStore> objects_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<DamagedFrames> damage_;
  std::unique_ptr<SegmentReader> segments_;
  std::unique_ptr<MetaStore> nodes_;
};

// A step acts by what is known, so that it runs again after any part of it was done.
struct CrashStep {
  std::string name;
  std::function<Status(Stage&)> run;
};

// A flow that ran: its disk, and what was known after each step.
struct RecordedFlow {
  SimulatedFileSystem files;
  std::vector<CrashStep> steps;
  std::uint64_t begin = 0;                  // number of the first operation
  std::vector<Known> known;                 // before each step, and at the end
  std::vector<std::uint64_t> acknowledged;  // operations when each step had returned

  // Whether steps run again with an index that is older or newer than the packs.
  bool has_stale_index = false;

  // Returns the number of steps that were acknowledged before an operation.
  std::size_t done_before(std::uint64_t operation) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(acknowledged, operation) - acknowledged.begin());
  }
};

class CrashBattery : public testing::Test {
 protected:
  // States of each flow.
  static constexpr BatteryRounds kStates{2000, 100, 20'000};

  // Runs `setup`, and then runs and records `steps`.
  static std::unique_ptr<RecordedFlow> recorded(const std::vector<CrashStep>& setup,
                                                std::vector<CrashStep> steps) {
    auto flow = std::make_unique<RecordedFlow>();
    Known known;
    for (const CrashStep& step : setup) run(flow->files, known, step);
    // Everything is durable from here on.
    flow->files.crash(SimulatedFileSystem::kKeepUnsynced);
    record(*flow, std::move(known), std::move(steps));
    return flow;
  }
  // Records `steps` on a store that a power cut before an operation of another flow left.
  static std::unique_ptr<RecordedFlow> recorded_after(const RecordedFlow& other, std::uint64_t operation,
                                                      std::vector<CrashStep> steps) {
    const auto disk = other.files.before(operation);
    disk->crash(SimulatedFileSystem::kKeepUnsynced);
    auto flow = std::make_unique<RecordedFlow>();
    flow->files.become(*disk);
    const std::size_t done = other.done_before(operation);
    const Known& after = other.known[std::min(done + 1, other.steps.size())];
    BatteryTally tally;
    Known known = CrashObserver(*disk, other.known[done], after, tally).observe();
    EXPECT_EQ(tally.faults(), 0U);
    record(*flow, std::move(known), std::move(steps));
    return flow;
  }
  static void record(RecordedFlow& flow, Known known, std::vector<CrashStep> steps) {
    flow.steps = std::move(steps);
    flow.files.record();
    flow.begin = flow.files.operations();
    flow.known.push_back(known);
    for (const CrashStep& step : flow.steps) {
      flow.acknowledged.push_back(run(flow.files, known, step));
      flow.known.push_back(known);
    }
  }

  // Checks crash states of flows, and prints and expects their counts.
  void check(const std::string& name, const std::vector<std::unique_ptr<RecordedFlow>>& flows) {
    if (HasFailure()) return;
    Battery battery("crash states", kStates, name);
    Prng prng(battery.seed());
    std::uint64_t cuts = 0;
    for (const auto& flow : flows) cuts += flow->files.operations() - flow->begin + 1;
    for (std::uint64_t round = 0; round * cuts < battery.rounds(); ++round) {
      for (const auto& flow : flows) {
        for (std::uint64_t cut = flow->begin; cut <= flow->files.operations(); ++cut) {
          if (battery.has_seen_enough()) break;
          check_state(*flow, cut, round < 2 ? round : prng.next() | 2U, prng, battery.tally);
        }
      }
    }
    if (!battery.has_seen_enough()) {
      EXPECT_GE(battery.tally.points, battery.rounds());
    }
    battery.finish();
  }

 private:
  // Returns the number of operations when the step had succeeded; what follows belongs to its end.
  static std::uint64_t run(SimulatedFileSystem& files, Known& known, const CrashStep& step) {
    Stage stage(files, known);
    const Status done = step.run(stage);
    EXPECT_TRUE(done.ok()) << step.name << ": " << (done.ok() ? "" : done.error().text());
    return files.operations();
  }

  // The kinds of a death.
  enum class Death : unsigned char { kPowerCut, kCutAgainInRecovery, kKilled };

  static void check_state(const RecordedFlow& flow, std::uint64_t cut, std::uint64_t seed, Prng& prng,
                          BatteryTally& tally) {
    const std::size_t noted = tally.notes.size();
    const std::uint64_t faults = tally.faults();
    const std::size_t done = flow.done_before(cut);
    const bool is_cut = done < flow.steps.size();
    const Known& before = flow.known[done];
    const Known& after = flow.known[done + (is_cut ? 1 : 0)];
    const auto disk = flow.files.before(cut);
    constexpr std::array kDeaths{Death::kPowerCut, Death::kPowerCut, Death::kCutAgainInRecovery,
                                 Death::kKilled};
    // Before a folder is synced, others see names that are not durable.
    const auto trace = flow.files.trace();
    const bool shows_more = cut < trace.size() && trace[cut].starts_with("sync directory");
    const Death death =
        shows_more && prng.below(4) != 0 ? Death::kKilled : kDeaths.at(prng.below(kDeaths.size()));
    const bool runs_again = death == Death::kKilled || flow.has_stale_index || prng.below(4) == 0;
    ++tally.points;
    if (death != Death::kKilled) disk->crash(seed);
    if (death == Death::kCutAgainInRecovery) cut_recovery(*disk, after, prng);
    const Known now = CrashObserver(*disk, before, after, tally).observe();
    if (tally.faults() == faults && runs_again) {
      // After a kill the user mostly takes a step that is seen to be done for done, and goes on.
      const bool was_killed = death == Death::kKilled;
      const std::size_t first = done + (was_killed && prng.below(4) != 0 ? 1 : 0);
      const std::size_t count = was_killed && prng.below(4) == 0 ? 2 : 1;
      const Known then = run_again(*disk, flow, first, now, count, prng, tally);
      if (was_killed) {
        disk->crash(prng.below(2) == 0 ? SimulatedFileSystem::kLoseUnsynced : seed);
        CrashObserver(*disk, sure(before, now, then), then, tally).observe();
      } else {
        CrashObserver(*disk, then, then, tally).observe();
      }
    }
    constexpr std::array kWords{"power cut", "power cut, and another one in the recovery,", "killed"};
    for (std::size_t i = noted; i < tally.notes.size(); ++i)
      tally.notes[i] +=
          fmt::format(" ({} before operation {} \"{}\", in step \"{}\", seed {})",
                      kWords.at(static_cast<std::size_t>(death)), cut,
                      cut < trace.size() ? trace[cut] : "end", is_cut ? flow.steps[done].name : "end", seed);
  }

  // Cuts the power while the stores are recovered.
  static void cut_recovery(SimulatedFileSystem& files, const Known& after, Prng& prng) {
    files.stop_at(files.operations() + prng.below(12));
    for (const auto& [store, known] : after.stores) {
      const auto recovered = recover(files, store);
      best_effort(recovered.ok() ? Status() : Status(recovered.error()));
    }
    files.crash(prng.next());
  }

  // Runs steps from number `first` on, `count` at most. Returns what is known then.
  static Known run_again(SimulatedFileSystem& files, const RecordedFlow& flow, std::size_t first, Known known,
                         std::size_t count, Prng& prng, BatteryTally& tally) {
    for (std::size_t i = std::min(first, flow.steps.size() - 1); count > 0 && i < flow.steps.size();
         ++i, --count) {
      Stage stage(files, known);
      const auto seen = flow.files.before(prng.below(2) == 0 ? flow.begin : flow.files.operations());
      if (flow.has_stale_index) stage.use_index_of(*seen);
      const Status again = flow.steps[i].run(stage);
      if (!again.ok()) tally.note(tally.wrong, "again: " + again.error().text());
    }
    return known;
  }

  // Returns what a power cut may not undo: what was acknowledged before a process was killed, and what
  // changed from `now` to `then` since. What the killed process did besides was seen, and may not be durable.
  static Known sure(const Known& before, const Known& now, const Known& then) {
    Known known = before;
    for (const auto& [store, things] : then.stores) {
      const auto at = now.stores.find(store);
      const KnownStore old = at == now.stores.end() ? KnownStore{} : at->second;
      if (at == now.stores.end()) known.stores[store];
      if (!known.stores.contains(store)) continue;
      add_changes(old.snapshots, things.snapshots, known.stores[store].snapshots);
      add_changes(old.images, things.images, known.stores[store].images);
    }
    add_changes(now.layouts, then.layouts, known.layouts);
    return known;
  }
  template <class Map>
  static void add_changes(const Map& from, const Map& to, Map& known) {
    for (const auto& [key, value] : to) {
      const auto old = from.find(key);
      if (old == from.end() || old->second != value) known[key] = value;
    }
    for (const auto& [key, value] : from) {
      if (!to.contains(key)) known.erase(key);
    }
  }
};

}  // namespace ashlar
