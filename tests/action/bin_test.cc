// Shows what lies in the bin for an account, and what it may bring back.
#include "action/bin.h"

#include "action/action_world.h"
#include "action/disks.h"
#include "action/images.h"
#include "action/snapshots.h"
#include "action/stores.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class Bin : public ActionWorld {
 protected:
  SnapshotId captured(const std::string& name) {
    CaptureSource request;
    request.source = file(name, 8192, name.size());
    request.name = name;
    return capture_source(repo(), owner(), request).take().record.id;
  }
  ImageId retired(const Caller& caller) {
    CaptureImage request;
    request.name = "web";
    request.disks = {{"/dev/sda", file("disk", 4096)}};
    const ImageId id = capture_image(repo(), caller, request).take().id;
    EXPECT_TRUE(deregister_image(repo(), caller, id, ImageSnapshots::kKeep).ok());
    return id;
  }
  std::vector<std::string> names(const Caller& caller) {
    std::vector<std::string> names;
    for (const DeletedThing& thing : describe_bin(repo(), caller).take().things) names.push_back(thing.name);
    return names;
  }
};

TEST_F(Bin, TheOldestDeletionComesFirst) {
  const SnapshotId first = captured("first");
  const SnapshotId second = captured("second");
  ASSERT_OK(delete_snapshot(repo(), owner(), second));
  ASSERT_OK(delete_snapshot(repo(), owner(), first));
  EXPECT_THAT(names(owner()), ElementsAre("second", "first"));
  ASSERT_OK(restore_snapshot_from_bin(repo(), owner(), second));
  EXPECT_THAT(names(owner()), ElementsAre("first"));
  ASSERT_OK(describe_snapshot(repo(), owner(), second));
  EXPECT_EQ(kind_of(restore_snapshot_from_bin(repo(), owner(), SnapshotId{9})), ErrorKind::kNotInBin);
}

TEST_F(Bin, ImagesAreTheirOwnersAlone) {
  const ImageId id = retired(owner());
  EXPECT_THAT(names(owner()), ElementsAre("web"));
  EXPECT_THAT(names(other()), IsEmpty());
  EXPECT_EQ(kind_of(restore_image_from_bin(repo(), other(), id)), ErrorKind::kNotInBin);
  EXPECT_EQ(kind_of(restore_image_from_bin(repo(), owner(), ImageId{9})), ErrorKind::kNotInBin);
  ASSERT_OK(restore_image_from_bin(repo(), owner(), id));
  EXPECT_THAT(names(owner()), IsEmpty());
  EXPECT_EQ(kind_of(restore_image_from_bin(repo(), owner(), id)), ErrorKind::kNotInBin) << "it is back";
}

TEST_F(Bin, APurgeKeepsWhatIsTooYoung) {
  const SnapshotId id = captured("first");
  ASSERT_OK(delete_snapshot(repo(), owner(), id));
  EXPECT_THAT(purge_bin(repo(), owner(), PurgeAge::kAsSet, PurgeClock::kCheck).take().snapshots, IsEmpty());
  EXPECT_THAT(purge_bin(repo(), owner(), PurgeAge::kAny, PurgeClock::kCheck).take().snapshots,
              ElementsAre(id));
  EXPECT_EQ(code_of(restore_snapshot_from_bin(repo(), owner(), id)), ErrorCode::kNotFound);
}

TEST_F(Bin, TheSettingsSayHowLong) {
  ASSERT_OK(delete_snapshot(repo(), owner(), captured("first")));
  ASSERT_OK(modify_settings(repo(), owner(), {.bin_days = 0, .unsigned_images = {}}));
  EXPECT_THAT(purge_bin(repo(), owner(), PurgeAge::kAsSet, PurgeClock::kCheck).take().snapshots, SizeIs(1));
}

// A deletion of long ago, while nothing in the store is newer: the clock may have jumped ahead since.
TEST_F(Bin, AClockThatMayBeWrongPurgesNothing) {
  const SnapshotId id = captured("first");
  SnapshotRecord old = repo().snapshots().get(id).take();
  ASSERT_OK(remove_snapshot(repo().objects(), id));
  old.created = UtcTime{1'700'000'000'000'000'000};
  ASSERT_OK(publish_snapshot(repo().objects(), old));
  ASSERT_OK(repo().snapshots().move_to_bin(id, old.created));
  const auto refused = purge_bin(repo(), owner(), PurgeAge::kAsSet, PurgeClock::kCheck);
  EXPECT_EQ(kind_of(refused), ErrorKind::kClockDoubtful);
  EXPECT_THAT(purge_bin(repo(), owner(), PurgeAge::kAsSet, PurgeClock::kIsRight).take().snapshots,
              ElementsAre(id));
}

}  // namespace
}  // namespace ashlar
