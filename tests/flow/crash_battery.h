// CrashBattery: runs a flow of steps once on a simulated disk, builds legal states of that disk after a power
// cut before each of its operations, and checks each state: what was acknowledged is there, the step that was
// cut off is done or not done, and runs again.
#pragma once

#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>

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
  Caller caller() { return {AccountId{1}, notices_, {}}; }

  SimulatedFileSystem& files;
  Known& known;  // a step that succeeds brings it up to date

 private:
  CollectedNotices notices_;
  std::map<std::string, std::unique_ptr<Repo>> repos_;
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

  // Returns the number of steps that were acknowledged before an operation.
  std::size_t done_before(std::uint64_t operation) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(acknowledged, operation) - acknowledged.begin());
  }
};

class CrashBattery : public testing::Test {
 protected:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr std::uint64_t kPoints = 100;
#else
  static constexpr std::uint64_t kPoints = 2000;
#endif

  static bool is_long() {
    return std::getenv("ASHLAR_LONG_TESTS") != nullptr;
  }  // NOLINT(concurrency-mt-unsafe)

  // Runs `setup`, cuts the power, and then runs and records `steps`.
  static std::unique_ptr<RecordedFlow> recorded(const std::vector<CrashStep>& setup,
                                                std::vector<CrashStep> steps) {
    auto flow = std::make_unique<RecordedFlow>();
    Known known;
    for (const CrashStep& step : setup) run(flow->files, known, step);
    flow->files.crash(SimulatedFileSystem::kLoseUnsynced);
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
    const auto started = std::chrono::steady_clock::now();
    const std::uint64_t seed = is_long() ? random_u64() >> 1U : 20261130;
    const std::uint64_t wanted = is_long() ? 10 * kPoints : kPoints;
    Prng prng(seed);
    CrashTally tally;
    std::uint64_t cuts = 0;
    for (const auto& flow : flows) cuts += flow->files.operations() - flow->begin + 1;
    for (std::uint64_t round = 0; round * cuts < wanted; ++round) {
      for (const auto& flow : flows) {
        for (std::uint64_t cut = flow->begin; cut <= flow->files.operations(); ++cut)
          check_state(*flow, cut, round < 2 ? round : prng.next() | 2U, prng, tally);
      }
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started;
    std::cout << fmt::format(
                     R"({{"battery":"crash states","flow":"{}","seed":{},"points":{},"acked":{},"lost":{},)"
                     R"("wrong":{},"half_visible":{},"undetected":{},"seconds":{:.1f}}})",
                     name, seed, tally.points, tally.acked, tally.lost, tally.wrong, tally.half_visible,
                     tally.undetected, spent.count())
              << std::endl;
    EXPECT_GE(tally.points, wanted);
    EXPECT_EQ(tally.faults(), 0U);
    for (const std::string& note : tally.notes) ADD_FAILURE() << note;
  }

 private:
  // Returns the number of operations when the step had succeeded; what follows belongs to its end.
  static std::uint64_t run(SimulatedFileSystem& files, Known& known, const CrashStep& step) {
    Stage stage(files, known);
    const Status done = step.run(stage);
    EXPECT_TRUE(done.ok()) << step.name << ": " << (done.ok() ? "" : done.error().text());
    return files.operations();
  }

  static void check_state(const RecordedFlow& flow, std::uint64_t cut, std::uint64_t seed, Prng& prng,
                          CrashTally& tally) {
    const std::size_t noted = tally.notes.size();
    const std::size_t done = flow.done_before(cut);
    const bool is_cut = done < flow.steps.size();
    const Known& before = flow.known[done];
    const Known& after = flow.known[done + (is_cut ? 1 : 0)];
    const auto disk = flow.files.before(cut);
    ++tally.points;
    disk->crash(seed);
    const bool falls_again = prng.below(4) == 0;
    if (falls_again) cut_recovery(*disk, after, prng);
    Known now = CrashObserver(*disk, before, after, tally).observe();
    if (tally.notes.size() == noted && prng.below(4) == 0) run_again(*disk, flow, done, now, tally);
    const auto trace = flow.files.trace();
    for (std::size_t i = noted; i < tally.notes.size(); ++i)
      tally.notes[i] +=
          fmt::format(" (power cut before operation {} \"{}\", in step \"{}\", seed {}{})", cut,
                      cut < trace.size() ? trace[cut] : "end", is_cut ? flow.steps[done].name : "end", seed,
                      falls_again ? ", and once more in the recovery" : "");
  }

  // Cuts the power while the stores are recovered.
  static void cut_recovery(SimulatedFileSystem& files, const Known& after, Prng& prng) {
    files.stop_at(files.operations() + prng.below(12));
    for (const auto& [store, known] : after.stores) {
      const Status recovered = recover(files, store);
      best_effort(recovered);
    }
    files.crash(prng.next());
  }

  // Runs the step again that was cut off.
  static void run_again(SimulatedFileSystem& files, const RecordedFlow& flow, std::size_t done, Known known,
                        CrashTally& tally) {
    const CrashStep& step = flow.steps[std::min(done, flow.steps.size() - 1)];
    {
      Stage stage(files, known);
      const Status again = step.run(stage);
      if (!again.ok()) {
        tally.note(tally.wrong, "again: " + again.error().text());
        return;
      }
    }
    CrashObserver(files, known, known, tally).observe();
  }
};

}  // namespace ashlar
