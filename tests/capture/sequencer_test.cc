// Tests of the sequencer: runs come out in the order in which they were requested, however they arrive.
#include "capture/sequencer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "base/random.h"

namespace ashlar {
namespace {

HashedRun run_of(std::uint64_t ordinal, std::shared_ptr<void> buffer = nullptr) {
  HashedRun run;
  run.run.ordinal = ordinal;
  run.run.buffer = std::move(buffer);
  return run;
}

TEST(Sequencer, AnyOrderOfArrivalLeavesInTheOrderOfRequests) {
  constexpr std::uint64_t kRuns = 400;
  Sequencer sequencer;
  std::vector<std::jthread> hashers;
  for (std::uint64_t t = 0; t < 4; ++t) {
    hashers.emplace_back([&, t] {
      std::vector<std::uint64_t> ordinals;
      for (std::uint64_t i = t; i < kRuns; i += 4) ordinals.push_back(i);
      Prng prng(t);
      for (std::size_t i = ordinals.size(); i > 1; --i) std::swap(ordinals[i - 1], ordinals[prng.below(i)]);
      for (const std::uint64_t ordinal : ordinals) sequencer.put(run_of(ordinal));
    });
  }
  for (std::uint64_t i = 0; i < kRuns; ++i) {
    const auto run = sequencer.take(i);
    ASSERT_TRUE(run);
    EXPECT_EQ(run->run.ordinal, i);
  }
}

TEST(Sequencer, TheEndAnswersForRunsThatNeverCome) {
  Sequencer sequencer;
  sequencer.put(run_of(0));
  std::jthread ender([&] { sequencer.end(); });
  EXPECT_FALSE(sequencer.take(1)) << "waits until the end is known";
  EXPECT_TRUE(sequencer.take(0)) << "a run that came is there still";
  sequencer.put(run_of(2));
  EXPECT_FALSE(sequencer.take(2)) << "nothing comes after the end";
}

TEST(Sequencer, ACancellationGivesTheBuffersBack) {
  Sequencer sequencer;
  const auto buffer = std::make_shared<int>(0);
  sequencer.put(run_of(0, buffer));
  EXPECT_EQ(buffer.use_count(), 2);
  sequencer.cancel();
  EXPECT_EQ(buffer.use_count(), 1);
  EXPECT_FALSE(sequencer.take(0));
}

}  // namespace
}  // namespace ashlar
