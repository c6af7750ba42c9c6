// A capture on a parent, and verify, with each of their reads of the store failing with each errno. A failure
// of the moment is neither damage nor absence: a capture either fails with it and publishes nothing, or goes
// on and stores nothing twice. A bad sector, or a pack that the index could not take in, is a reason to store
// again.
#include "support/failing_reads.h"

#include <array>
#include <cerrno>

#include "flow/world.h"
#include "simulated/simulated_file_system.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

constexpr std::array kErrors = {EMFILE, EACCES, ENOMEM, EIO};

class FailingReadsFlow : public testing::Test {
 protected:
  void SetUp() override {
    Prng prng(61);
    std::vector<std::byte> data(1 << 20);
    prng.fill(data);
    base_.write(0, data);
    changed_.write(0, data);
    data.resize(256 << 10);
    prng.fill(data);
    changed_.write(2 << 20, data);
  }
  static HostChoice in_memory() { return {{}, {}, true}; }

  SnapshotRecord prepare(SimulatedFileSystem& files) {
    EXPECT_TRUE(Repo::init(files, StoreAddress{kStore}, {}).ok());
    World world(files, kStore, in_memory());
    EXPECT_TRUE(world.open().ok());
    return world.capture_file(base_.path()).take().record;
  }
  // `index_lacks_packs` tells whether the index of the capture does without packs that it could not read.
  Result<SnapshotRecord> capture_changed(FileSystem& files, const SnapshotRecord& parent,
                                         bool& index_lacks_packs) {
    World world(files, kStore, in_memory());
    TRY(world.open());
    CaptureOptions options;
    options.parent = parent;
    options.threads = 1;
    const CaptureReport report = TRY(world.capture_file(changed_.path(), options));
    index_lacks_packs = TRY(TRY(world.repo().index())->stats()).unread_packs > 0;
    return report.record;
  }
  void expect_whole(SimulatedFileSystem& files, const SnapshotRecord& snapshot) {
    World world(files, kStore, in_memory());
    ASSERT_OK(world.open());
    const auto differences = world.compare_with(snapshot, changed_.path());
    ASSERT_OK(differences);
    EXPECT_TRUE(differences.value().empty());
    const auto verified = world.verify();
    ASSERT_OK(verified);
    EXPECT_TRUE(verified.value().damages.empty());
  }
  std::size_t snapshots_of(SimulatedFileSystem& files) {
    World world(files, kStore, in_memory());
    EXPECT_TRUE(world.open().ok());
    return snapshots_in(world.repo().objects()).size();
  }

  const std::string kStore = "/store";
  TemporaryDirectory directory_;
  Image base_{directory_.path() + "/base", 4 << 20};
  Image changed_{directory_.path() + "/changed", 4 << 20};
};

TEST_F(FailingReadsFlow, ACaptureFailsOrStoresNothingTwice) {
  constexpr std::uint64_t new_blocks = (256 << 10) / kBlockBytes;
  for (const int error : kErrors) {
    bool failed = true;
    for (int at = 0; failed; ++at) {
      SCOPED_TRACE("read " + std::to_string(at) + " fails with errno " + std::to_string(error));
      SimulatedFileSystem files;
      const SnapshotRecord parent = prepare(files);
      FailingReads failing(files, at, error);
      bool index_lacks_packs = false;
      const auto captured = capture_changed(failing, parent, index_lacks_packs);
      failed = failing.failed();
      if (captured.ok()) {
        // A pack that the index could not take in is not known, so its blocks are stored again.
        const bool may_store_again = index_lacks_packs || error == EIO;
        EXPECT_TRUE(may_store_again || captured.value().new_blocks.value == new_blocks) << "stored twice";
        expect_whole(files, captured.value());
      } else {
        EXPECT_TRUE(failed) << captured.error().text();
        EXPECT_FALSE(is(captured, ErrorCode::kCorrupt)) << captured.error().text();
        EXPECT_FALSE(is(captured, ErrorCode::kNotFound)) << captured.error().text();
        EXPECT_EQ(snapshots_of(files), 1U) << "published on doubt";
      }
      const auto again = capture_changed(files, parent, index_lacks_packs);
      ASSERT_OK(again);
      EXPECT_LE(again.value().new_blocks.value, captured.ok() ? 0 : new_blocks) << "remembered as damage";
      expect_whole(files, again.value());
      if (HasFailure()) return;
    }
  }
}

TEST_F(FailingReadsFlow, VerifyCallsNothingDamagedThatItCouldNotRead) {
  SimulatedFileSystem files;
  prepare(files);
  for (const int error : kErrors) {
    bool failed = true;
    for (int at = 0; failed; ++at) {
      SCOPED_TRACE("read " + std::to_string(at) + " fails with errno " + std::to_string(error));
      FailingReads failing(files, at, error);
      World world(failing, kStore, in_memory());
      const Status opened = world.open();
      const auto report = opened.ok() ? world.verify() : Result<VerifyReport>(opened.error());
      failed = failing.failed();
      if (!report.ok()) {
        EXPECT_TRUE(failed);
        EXPECT_FALSE(is(report, ErrorCode::kCorrupt)) << report.error().text();
        continue;
      }
      EXPECT_EQ(report.value().damaged(), 0U);
      EXPECT_TRUE(failed || report.value().damages.empty());
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ashlar
