// Tests of overlays against a model: random work, crashes, power lost at every operation, and a failure of
// every operation.
#include "volume/overlay_model.h"

#include <cstdlib>
#include <functional>

#include "simulated/simulated_file_system.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kBytes = 2060 * kBlockBytes + 700;

void make_place(FileSystem& files) {
  ASSERT_TRUE(files.make_directory("/v").ok());
  ASSERT_TRUE(files.sync_directory("/").ok());
}

// Returns a random range near one of three places (the start, the border of two chunks, the end), so that
// operations often overlap.
std::pair<std::uint64_t, std::uint64_t> somewhere(Prng& prng, std::uint64_t size) {
  const std::uint64_t places[] = {0, 1010 * kBlockBytes, size - std::min(size, 30 * kBlockBytes)};
  std::uint64_t offset = places[prng.below(3)] + prng.below(28 * kBlockBytes);
  std::uint64_t bytes = 1 + prng.below(8 * kBlockBytes);
  if (prng.below(2) == 0) {
    offset -= offset % kBlockBytes;
    bytes += kBlockBytes - bytes % kBlockBytes;
  }
  offset = std::min(offset, size - 1);
  return {offset, std::min(bytes, size - offset)};
}

void random_step(OverlayModel& model, SimulatedFileSystem& files, Prng& prng) {
  const auto [offset, bytes] = somewhere(prng, model.size());
  const std::uint64_t action = prng.below(100);
  bool done = true;
  if (action < 35) {
    done = model.write(offset, bytes);
  } else if (action < 47) {
    done = model.write_zeroes(offset, bytes, prng.below(2) == 0);
  } else if (action < 62) {
    done = model.put_clean(offset / kBlockBytes, (bytes + kBlockBytes - 1) / kBlockBytes);
  } else if (action < 65) {
    done = model.put_clean_zeroes(offset / kBlockBytes, (bytes + kBlockBytes - 1) / kBlockBytes);
  } else if (action < 75) {
    done = model.flush();
  } else if (action < 77) {
    done = model.close();
    model.drop();
    model.reopen(true);
  } else if (action < 79) {
    model.drop();
    model.reopen(false);
  } else if (action < 84) {
    model.drop();
    files.crash(prng.below(8));
    model.reopen(true);
  } else if (action < 88) {
    if (!model.has_view()) done = model.begin_view();
  } else if (action < 92) {
    if (model.has_view()) done = model.read_view();
  } else if (action < 95) {
    if (model.has_view()) done = model.read_view() && model.end_view();
  } else if (action < 96) {
    if (model.has_view()) model.abandon_view();
  } else if (action < 97) {
    done = model.grow(std::min<std::uint64_t>(model.size() + prng.below(3 * kBlockBytes), 3 * kBytes / 2));
  } else if (action < 98) {
    done = model.write_zeroes(0, model.size(), true);
  } else {
    model.observe(false);
    model.check_counters();
  }
  ASSERT_TRUE(done) << "action " << action << ": " << model.last_error();
}

TEST(OverlayModelTest, RandomWorkWithCrashesReadsAsTheModelSays) {
  const bool lengthy = std::getenv("ASHLAR_LONG_TESTS") != nullptr;
  const std::uint64_t seeds = lengthy ? 400 : 16;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    SimulatedFileSystem files;
    make_place(files);
    OverlayModel model(files, "/v", kBytes, seed);
    ASSERT_TRUE(model.create()) << model.last_error();
    Prng prng(seed * 1000);
    for (int step = 0; step < 300; ++step) {
      random_step(model, files, prng);
      if (testing::Test::HasFatalFailure()) FAIL() << "step " << step;
    }
    model.observe(false);
    model.check_counters();
  }
}

// Does every kind of operation once. Stops at the first refusal if `stop_at_refusal`. Returns whether it came
// to the end.
bool script(OverlayModel& model, bool stop_at_refusal) {
  constexpr std::uint64_t kBlock = kBlockBytes;
  const std::function<bool()> steps[] = {
      [&] { return model.put_clean(0, 20) && model.put_clean(1015, 20); },
      [&] { return model.write(3 * kBlock, 2 * kBlock); },
      [&] { return model.flush(); },
      [&] { return model.write(1020 * kBlock + 17, 9 * kBlock); },
      [&] { return model.write(40 * kBlock, 5 * kBlock); },
      [&] { return model.write_zeroes(4 * kBlock, 3 * kBlock, true); },
      [&] { return model.flush(); },
      [&] { return model.write(5 * kBlock + 100, 300); },
      [&] { return model.begin_view(); },
      [&] { return model.write(3 * kBlock, kBlock) && model.write(42 * kBlock, kBlock); },
      [&] { return model.write_zeroes(1021 * kBlock, 2 * kBlock, false); },
      [&] { return !model.has_view() || model.read_view(); },
      [&] { return !model.has_view() || model.end_view(); },
      [&] { return model.write(41 * kBlock, kBlock) && model.write(1024 * kBlock + 512, 512); },
      [&] { return model.flush(); },
      [&] { return model.grow(kBytes + 5 * kBlock); },
      [&] { return model.write(kBytes - 50, 100); },
      [&] { return model.write_zeroes(0, 30 * kBlock, true); },
  };
  for (const auto& step : steps) {
    if (step()) continue;
    if (stop_at_refusal) return false;
    model.observe(false);
  }
  return model.close();
}

std::uint64_t script_operations(std::uint64_t& before) {
  SimulatedFileSystem files;
  make_place(files);
  OverlayModel model(files, "/v", kBytes, 9);
  EXPECT_TRUE(model.create());
  before = files.operations();
  EXPECT_TRUE(script(model, true)) << model.last_error();
  model.observe(false);
  return files.operations();
}

TEST(OverlayModelTest, PowerLostAtEachOperationLosesOnlyWhatWasNotFlushed) {
  std::uint64_t before = 0;
  const std::uint64_t total = script_operations(before);
  ASSERT_GT(total, before + 40);
  for (std::uint64_t stop = before; stop <= total; ++stop) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      SCOPED_TRACE(testing::Message() << "stopped at " << stop << " seed " << seed);
      SimulatedFileSystem files;
      make_place(files);
      OverlayModel model(files, "/v", kBytes, 9);
      ASSERT_TRUE(model.create());
      files.stop_at(stop);
      script(model, true);
      model.drop();
      files.crash(seed);
      model.reopen(true);
      if (testing::Test::HasFatalFailure()) return;
      model.check_counters();
      // The reopened overlay has to accept further work.
      ASSERT_TRUE(model.write(100, 5000) && model.flush()) << model.last_error();
    }
  }
}

// The first flush after a kill also makes durable what the killed process wrote without a flush.
TEST(OverlayModelTest, TheFirstFlushAfterAKillKeepsWhatWasReadSince) {
  SimulatedFileSystem files;
  make_place(files);
  OverlayModel model(files, "/v", kBytes, 9);
  ASSERT_TRUE(model.create() && model.write(0, 20'000) && model.flush());
  ASSERT_TRUE(model.write(0, 10'000));
  model.drop();
  model.reopen(false);
  ASSERT_TRUE(model.flush());
  model.drop();
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  model.reopen(true);
}

// A range that begins and ends inside a block: the space of both edges is reserved before the middle changes.
TEST(OverlayModelTest, ZeroesThatFindNoSpaceChangeNothing) {
  SimulatedFileSystem files;
  make_place(files);
  auto overlay = Overlay::create(files, "/v", VolumeId{3}, ByteCount{kBytes}, SnapshotId{1}).take();
  ByteVector data(9 * kBlockBytes);
  Prng(1).fill(data);
  ASSERT_TRUE(overlay->write(ByteOffset{0}, data).ok());
  ASSERT_TRUE(overlay->write_zeroes(ByteOffset{9 * kBlockBytes}, ByteCount{kBlockBytes}, true).ok());
  files.set_full(true);
  const Status zeroed = overlay->write_zeroes(ByteOffset{100}, ByteCount{9 * kBlockBytes}, true);
  ASSERT_FALSE(zeroed.ok());
  EXPECT_EQ(zeroed.error().code(), ErrorCode::kExhausted);
  ByteVector now(data.size());
  ASSERT_TRUE(overlay->read(ByteOffset{0}, now).ok());
  EXPECT_TRUE(bytes_equal(now, data));
  files.set_full(false);
  EXPECT_TRUE(overlay->write_zeroes(ByteOffset{100}, ByteCount{9 * kBlockBytes}, true).ok());
}

TEST(OverlayModelTest, PowerLostWhileOpeningChangesNothing) {
  for (std::uint64_t round = 0; round < 40; ++round) {
    SimulatedFileSystem files;
    make_place(files);
    OverlayModel model(files, "/v", kBytes, 9);
    ASSERT_TRUE(model.create());
    ASSERT_TRUE(model.put_clean(0, 20) && model.write(3 * kBlockBytes, 100) && model.flush());
    ASSERT_TRUE(model.write(8 * kBlockBytes, 100));
    model.drop();
    files.stop_at(files.operations() + round % 10);
    static_cast<void>(Overlay::open(files, "/v", VolumeId{77}));
    files.crash(round);
    model.reopen(true);
    if (testing::Test::HasFatalFailure()) FAIL() << "round " << round;
  }
}

TEST(OverlayModelTest, AnOperationThatFailsIsReportedAndNothingThatWasConfirmedIsLost) {
  std::uint64_t before = 0;
  const std::uint64_t total = script_operations(before);
  for (const int error_number : {ENOSPC, EIO}) {
    for (std::uint64_t fails = before; fails < total; ++fails) {
      SCOPED_TRACE(testing::Message() << "operation " << fails << " fails with " << error_number);
      SimulatedFileSystem files;
      make_place(files);
      OverlayModel model(files, "/v", kBytes, 9);
      ASSERT_TRUE(model.create());
      files.fail_operation(fails, error_number);
      const bool closed = script(model, false);
      SCOPED_TRACE(files.trace()[fails] + ": " + model.last_error());
      if (testing::Test::HasFatalFailure()) return;
      const bool data_sync_failed = files.trace()[fails] == "sync /v/data";
      if (data_sync_failed) {
        EXPECT_FALSE(closed);
        EXPECT_EQ(model.overlay().flush().error().code(), ErrorCode::kIo);
      } else if (!closed) {
        EXPECT_TRUE(model.overlay().close().ok());
      }
      model.drop();
      files.crash(fails % 8);
      model.reopen(true);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ashlar
