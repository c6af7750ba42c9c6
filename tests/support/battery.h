// Battery: a test of many random rounds. It says how many rounds there are and from which seed, counts what
// they find, and prints the counts as a line of JSON:
//
//   {"battery":"rot","seed":20261130,"points":1893,"acked":5679,"lost":0,"wrong":0,"half_visible":0,
//    "undetected":0,"seconds":61.2}
//
// ASHLAR_LONG_TESTS=1 runs more rounds, from a seed of its own. One thread, but for what the rounds start.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/random.h"

namespace ashlar {

// The rounds of a battery: of the gate, under a sanitizer, and of a long test.
struct BatteryRounds {
  std::uint64_t gate = 0;
  std::uint64_t sanitized = 0;
  std::uint64_t longer = 0;
};

// The counts of a battery. Each fault is one too many.
struct BatteryTally {
  std::uint64_t points = 0;        // rounds
  std::uint64_t acked = 0;         // acknowledged things that were looked for
  std::uint64_t lost = 0;          // acknowledged, and not there
  std::uint64_t wrong = 0;         // other bytes, damage, a store or a step that is refused
  std::uint64_t half_visible = 0;  // neither there nor absent
  std::uint64_t undetected = 0;    // wrong bytes that verify does not find
  std::vector<std::string> notes;  // the first faults in words

  void note(std::uint64_t& count, std::string what) {
    ++count;
    if (notes.size() < 5) notes.push_back(std::move(what));
  }
  // Notes a fault where something is not so.
  void expect(bool is_so, std::uint64_t& count, const std::string& what) {
    if (!is_so) note(count, what);
  }
  std::uint64_t faults() const { return lost + wrong + half_visible + undetected; }
};

class Battery {
 public:
  Battery(std::string name, BatteryRounds rounds, std::string flow = {})
      : name_(std::move(name)), flow_(std::move(flow)), rounds_(rounds) {}

  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  static bool is_long() { return std::getenv("ASHLAR_LONG_TESTS") != nullptr; }
  std::uint64_t rounds() const {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return is_long() ? rounds_.gate : rounds_.sanitized;
#else
    return is_long() ? rounds_.longer : rounds_.gate;
#endif
  }
  std::uint64_t seed() const { return seed_; }
  // Returns whether no more rounds are of use: a fault was found, and gtest is to stop at the first.
  bool has_seen_enough() const {
    return (tally.faults() > 0 || testing::Test::HasFailure()) && GTEST_FLAG_GET(fail_fast);
  }

  // Prints the counts and fails the test for each fault.
  void finish() {
    if (testing::Test::HasFailure() && tally.faults() == 0) ++tally.wrong;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - started_;
    std::string line = fmt::format(R"({{"battery":"{}")", name_);
    if (!flow_.empty()) line += fmt::format(R"(,"flow":"{}")", flow_);
    line += fmt::format(R"(,"seed":{},"points":{},"acked":{},"lost":{},"wrong":{},"half_visible":{})", seed_,
                        tally.points, tally.acked, tally.lost, tally.wrong, tally.half_visible);
    std::cout << line
              << fmt::format(R"(,"undetected":{},"seconds":{:.1f}}})", tally.undetected, spent.count())
              << std::endl;
    EXPECT_EQ(tally.faults(), 0U);
    for (const std::string& note : tally.notes) ADD_FAILURE() << note;
  }

  BatteryTally tally;

 private:
  const std::string name_;
  const std::string flow_;
  const BatteryRounds rounds_;
  const std::uint64_t seed_ = is_long() ? random_u64() >> 1U : 20261130;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

// Runs `history(seed, tally)` for one seed after the other, until one of them finds a fault.
template <class History>
void run_histories(Battery battery, const History& history) {
  const std::uint64_t end = battery.seed() + battery.rounds();
  for (std::uint64_t seed = battery.seed(); seed < end; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    ++battery.tally.points;
    history(seed, battery.tally);
    if (battery.tally.faults() == 0 && !testing::Test::HasFailure()) continue;
    battery.tally.notes.push_back("seed " + std::to_string(seed));
    break;
  }
  battery.finish();
}

}  // namespace ashlar
