// Tests that lose power at every operation of a capture on a simulated disk: the snapshot is whole or absent,
// older ones stay, and the next capture succeeds and restores to the right bytes.
#include <cerrno>

#include "flow/world.h"
#include "simulated/simulated_file_system.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

const std::string kStore = "/store";

class CrashFlow : public testing::Test {
 protected:
  void SetUp() override {
    Prng prng(31);
    std::vector<std::byte> data(3 << 20);
    prng.fill(data);
    base_.write(0, data);
    changed_.write(0, data);
    prng.fill(data);
    changed_.write(1 << 20, data);
  }

  // Makes a store with one snapshot of base_ on a fresh disk.
  Result<SnapshotRecord> prepare(SimulatedFileSystem& files) {
    TRY(Repo::init(files, StoreAddress{kStore}, {}));
    World world(files, kStore, {{}, {}, true});
    TRY(world.open());
    return TRY(world.capture_file(base_.path())).record;
  }
  Result<SnapshotRecord> capture_changed(SimulatedFileSystem& files, const SnapshotRecord& parent) {
    World world(files, kStore, {{}, {}, true});
    TRY(world.open());
    CaptureOptions options;
    options.parent = parent;
    options.threads = 1;
    return TRY(world.capture_file(changed_.path(), options)).record;
  }
  // Returns the numbers of the disk operations that the second capture makes, as [first, second).
  std::pair<std::uint64_t, std::uint64_t> operations_of_a_capture() {
    SimulatedFileSystem files;
    const auto parent = prepare(files);
    EXPECT_TRUE(parent.ok());
    const std::uint64_t begin = files.operations();
    EXPECT_TRUE(capture_changed(files, parent.value()).ok());
    EXPECT_GT(files.operations(), begin + 10);
    return {begin, files.operations()};
  }

  void expect_all_whole(SimulatedFileSystem& files, std::size_t at_least) {
    World world(files, kStore, {{}, {}, true});
    ASSERT_OK(world.open());
    const std::vector<SnapshotRecord> snapshots = snapshots_in(world.repo().objects());
    EXPECT_GE(snapshots.size(), at_least);
    for (const SnapshotRecord& snapshot : snapshots) {
      const auto& image = snapshot.parent.value == 0 ? base_ : changed_;
      const auto differences = world.compare_with(snapshot, image.path());
      ASSERT_OK(differences);
      EXPECT_TRUE(differences.value().empty());
    }
    const auto verified = world.verify();
    ASSERT_OK(verified);
    for (const Damage& damage : verified.value().damages)
      ADD_FAILURE() << damage.object << ": " << damage.what;
  }

  TemporaryDirectory directory_;
  Image base_{directory_.path() + "/base", 8 << 20};
  Image changed_{directory_.path() + "/changed", 8 << 20};
};

TEST_F(CrashFlow, PowerLossAtEveryOperation) {
  const auto [begin, end] = operations_of_a_capture();
  for (std::uint64_t n = begin; n <= end; ++n) {
    for (const std::uint64_t seed :
         {SimulatedFileSystem::kLoseUnsynced, SimulatedFileSystem::kKeepUnsynced, n + 1000}) {
      SCOPED_TRACE("stopped at operation " + std::to_string(n) + ", crash seed " + std::to_string(seed));
      SimulatedFileSystem files;
      const auto parent = prepare(files);
      ASSERT_OK(parent);
      files.stop_at(n);
      const auto interrupted = capture_changed(files, parent.value());
      files.crash(seed);
      // An acknowledged capture is there after the crash; one that was not acknowledged is whole or absent.
      expect_all_whole(files, interrupted.ok() ? 2 : 1);
      ASSERT_OK(capture_changed(files, parent.value()));
      expect_all_whole(files, 2);
    }
  }
}

// A pack left by a failed writer may have a name that is not durable yet. A later capture that uses the pack
// has to make the name durable too.
TEST_F(CrashFlow, ACaptureThatBuildsOnAFailedOnesPacksSurvivesALossOfPower) {
  const auto [begin, end] = operations_of_a_capture();
  for (std::uint64_t n = begin; n < end; ++n) {
    SCOPED_TRACE("operation " + std::to_string(n) + " fails");
    SimulatedFileSystem files;
    const auto parent = prepare(files);
    ASSERT_OK(parent);
    files.fail_operation(n, EIO);
    const bool first = capture_changed(files, parent.value()).ok();
    ASSERT_OK(capture_changed(files, parent.value()));
    files.crash(SimulatedFileSystem::kLoseUnsynced);
    expect_all_whole(files, first ? 3 : 2);
  }
}

TEST_F(CrashFlow, AFailedOperationFailsTheCaptureAndLosesNothing) {
  const auto [begin, end] = operations_of_a_capture();
  for (std::uint64_t n = begin; n < end; ++n) {
    for (const int error : {EIO, ENOSPC}) {
      SCOPED_TRACE("operation " + std::to_string(n) + " fails with errno " + std::to_string(error));
      SimulatedFileSystem files;
      const auto parent = prepare(files);
      ASSERT_OK(parent);
      files.fail_operation(n, error);
      const auto result = capture_changed(files, parent.value());
      files.crash(SimulatedFileSystem::kLoseUnsynced);
      expect_all_whole(files, result.ok() ? 2 : 1);
    }
  }
}

}  // namespace
}  // namespace ashlar
