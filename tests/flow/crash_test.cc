// Tests of captures on a simulated disk whose operations fail, which is full, or which are stopped: nothing
// that was acknowledged is lost, and no file in the making is left. crash_states_test.cc cuts the power.
#include <cerrno>

#include "flow/world.h"
#include "simulated/simulated_file_system.h"
#include "support/forwarding_objects.h"
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
    const auto parent = prepare();
    ASSERT_OK(parent);
    parent_ = parent.value();
  }

  // Makes a store with one snapshot of base_.
  Result<SnapshotRecord> prepare() {
    TRY(Repo::init(prepared_, StoreAddress{kStore}, {}));
    World world(prepared_, kStore, {{}, {}, true});
    TRY(world.open());
    const SnapshotRecord record = TRY(world.capture_file(base_.path())).record;
    prepared_.crash(SimulatedFileSystem::kLoseUnsynced);
    return record;
  }
  // Returns a disk with that store.
  std::unique_ptr<SimulatedFileSystem> fresh_disk() const { return prepared_.before(prepared_.operations()); }
  Result<SnapshotRecord> capture_changed(SimulatedFileSystem& files, const SnapshotRecord& parent) {
    World world(files, kStore, {{}, {}, true});
    TRY(world.open());
    CaptureOptions options;
    options.parent = parent;
    options.threads = 1;
    return TRY(world.capture_file(changed_.path(), options)).record;
  }
  // Returns the number of the disk operations that the second capture makes.
  std::uint64_t operations_of_a_capture() {
    const auto files = fresh_disk();
    EXPECT_TRUE(capture_changed(*files, parent_).ok());
    EXPECT_GT(files->operations(), 10U);
    return files->operations();
  }
  static std::vector<std::string> files_in_the_making(SimulatedFileSystem& files) {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : files.list(kStore + "/incoming").take()) {
      if (entry.name != "changes.lock") names.push_back(entry.name);
    }
    return names;
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

  SimulatedFileSystem prepared_;
  SnapshotRecord parent_;
  TemporaryDirectory directory_;
  Image base_{directory_.path() + "/base", 8 << 20};
  Image changed_{directory_.path() + "/changed", 8 << 20};
};

// A pack left by a failed writer may have a name that is not durable yet. A later capture that uses the pack
// has to make the name durable too.
TEST_F(CrashFlow, ACaptureThatBuildsOnAFailedOnesPacksSurvivesALossOfPower) {
  const std::uint64_t end = operations_of_a_capture();
  for (std::uint64_t n = 0; n < end; ++n) {
    SCOPED_TRACE("operation " + std::to_string(n) + " fails");
    const auto files = fresh_disk();
    files->fail_operation(n, EIO);
    const bool first = capture_changed(*files, parent_).ok();
    ASSERT_OK(capture_changed(*files, parent_));
    files->crash(SimulatedFileSystem::kLoseUnsynced);
    expect_all_whole(*files, first ? 3 : 2);
  }
}

TEST_F(CrashFlow, AFailedOperationFailsTheCaptureAndLosesNothing) {
  const std::uint64_t end = operations_of_a_capture();
  for (std::uint64_t n = 0; n < end; ++n) {
    for (const int error : {EIO, ENOSPC}) {
      SCOPED_TRACE("operation " + std::to_string(n) + " fails with errno " + std::to_string(error));
      const auto files = fresh_disk();
      files->fail_operation(n, error);
      const auto result = capture_changed(*files, parent_);
      // A file that can't be removed is removed when the store is opened next.
      const bool is_removal = files->trace()[n].starts_with("remove");
      EXPECT_TRUE(is_removal || files_in_the_making(*files).empty()) << files->trace()[n];
      files->crash(SimulatedFileSystem::kLoseUnsynced);
      expect_all_whole(*files, result.ok() ? 2 : 1);
    }
  }
}

TEST_F(CrashFlow, ACaptureThatIsStoppedOrMeetsAFullDiskLeavesNoFileInTheMaking) {
  for (const bool is_full : {false, true}) {
    bool was_reached = true;
    for (int at = 0; was_reached; ++at) {
      SCOPED_TRACE((is_full ? "full before call " : "stopped before call ") + std::to_string(at));
      const auto files = fresh_disk();
      {
        World world(*files, kStore, {{}, {}, true});
        ASSERT_OK(world.open());
        const WriteParts parts = world.repo().write_parts().take();
        std::stop_source stop;
        InterruptedObjects objects(world.repo().objects(), at,
                                   [&] { is_full ? files->set_full(true) : void(stop.request_stop()); });
        const auto source = open_source(changed_.path(), {}).take();
        CaptureOptions options;
        options.parent = parent_;
        options.threads = 1;
        CaptureProgress progress;
        const auto done = capture(
            {parts.config, objects, parts.index, parts.segments, parts.nodes, parts.snapshots, parts.damage},
            *source, options, progress, stop.get_token());
        was_reached = objects.acted();
        EXPECT_TRUE(done.ok() || is(done, is_full ? ErrorCode::kExhausted : ErrorCode::kCancelled))
            << done.error().text();
        EXPECT_TRUE(done.ok() || was_reached);
      }
      EXPECT_EQ(files_in_the_making(*files), std::vector<std::string>());
    }
  }
}

}  // namespace
}  // namespace ashlar
