// Tests of verify while captures and deletions run: what these change in the meantime is never reported as
// damage.
#include "flow/world.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

// A store that calls `act` once, just before the first opening of an object of the folder.
class WatchedStore : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;
  void before_first_open(std::string folder, std::function<void()> act) {
    folder_ = std::move(folder);
    act_ = std::move(act);
  }
  bool acted() const { return acted_.test(); }

  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    if (!folder_.empty() && key.starts_with(folder_) && !acted_.test_and_set()) act_();
    return ForwardingObjects::open(key, mode);
  }

 private:
  std::string folder_;
  std::function<void()> act_;
  std::atomic_flag acted_;
};

class VerifyBeside : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    ASSERT_OK(other_.open());
    for (int i = 0; i < 3; ++i) kept_.push_back(captured(world_));
  }

  SnapshotId captured(World& world) {
    std::vector<std::byte> news(100'000);
    prng_.fill(news);
    image_.write(prng_.below(image_.model().size() - news.size()), news);
    const auto report = world.capture_file(image_.path());
    EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().text());
    return report.ok() ? report.value().record.id : SnapshotId{};
  }

  Result<VerifyReport> verify(ObjectStore& objects) {
    SnapshotCatalog snapshots(objects);
    VerifyProgress progress;
    DamagedFrames damage(objects, world_.repo().config().id);
    return verify_all({world_.repo().config(), objects, *TRY(world_.repo().index()), snapshots, damage},
                      progress, {});
  }

  void expect_sound(const Result<VerifyReport>& report, std::uint64_t snapshots) {
    ASSERT_OK(report);
    for (const Damage& damage : report.value().damages) ADD_FAILURE() << damage.object << ": " << damage.what;
    EXPECT_EQ(report.value().snapshots, snapshots);
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_.path() + "/store";
  World world_{posix_file_system(), store_};
  World other_{posix_file_system(), store_};
  Image image_{directory_.path() + "/image", 12 << 20};
  Prng prng_{77};
  std::vector<SnapshotId> kept_;
};

TEST_F(VerifyBeside, ASnapshotThatIsMadeSinceTheIndexWasOpened) {
  ASSERT_OK(world_.repo().index());
  captured(other_);
  expect_sound(verify(world_.repo().objects()), 4);
}

TEST_F(VerifyBeside, ASnapshotThatIsMadeWhilePacksAreRead) {
  WatchedStore watched(world_.repo().objects());
  watched.before_first_open("packs/", [this] { captured(other_); });
  expect_sound(verify(watched), 3);
  EXPECT_TRUE(watched.acted());
  expect_sound(verify(world_.repo().objects()), 4);
}

TEST_F(VerifyBeside, SnapshotsThatAreDeletedBeforeTheyAreWalked) {
  WatchedStore watched(world_.repo().objects());
  watched.before_first_open("snapshots/", [this] {
    for (const SnapshotId id : kept_) ASSERT_OK(remove_snapshot(other_.repo().objects(), id));
  });
  expect_sound(verify(watched), 0);
  EXPECT_TRUE(watched.acted());
}

}  // namespace
}  // namespace ashlar
