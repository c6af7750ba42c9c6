// Tests of snapshots, the images that need them, and the bin, also when two operations meet at one snapshot.
#include "image/deletion.h"

#include <array>

#include "catalog/records.h"
#include "catalog/sessions.h"
#include "catalog/volumes.h"
#include "image/register.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

const SnapshotId kSnapshot = sample_record(1).id;

class Deletion : public testing::Test {
 protected:
  void SetUp() override {
    make_root(files_);
    for (const std::uint64_t number : {1, 2})
      ASSERT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
  }

  static ImageRecord wanted(const std::string& name) {
    ImageRecord record;
    record.owner = AccountId{1};
    record.name = name;
    record.root_device = "/dev/sda";
    record.devices.resize(2);
    record.devices[0].name = "/dev/sda";
    record.devices[0].content.snapshot = kSnapshot;
    record.devices[1].name = "/dev/sdb";
    record.devices[1].kind = ImageDevice::Kind::kEphemeral;
    record.devices[1].size = ByteCount{4096};
    return record;
  }
  Result<ImageRecord> made(const std::string& name) {
    return register_image(images_, snapshots_, wanted(name));
  }
  Status deregister(ImageId id) {
    return images_.update(id,
                          [](ImageRecord& now) -> Status {
                            now.state = ImageState::kDeregistered;
                            now.deregistered = UtcTime{5};
                            return {};
                          })
                   .ok()
               ? Status()
               : Status(invalid("deregister"));
  }
  bool is_there(SnapshotId id) { return snapshots_.get(id).ok(); }
  bool is_bin_empty() {
    std::vector<Error> unread;
    return snapshots_.list_bin(unread).take().empty() && unread.empty();
  }
  // Leaves a deletion as it is when it was cut off before it looked for users.
  void cut_off_deletion(SnapshotId id) { ASSERT_TRUE(snapshots_.move_to_bin(id, UtcTime{1}).ok()); }
  // Makes the snapshot a published one, whatever became of it.
  void publish_again(std::uint64_t number) {
    static_cast<void>(remove_snapshot(objects_, sample_record(number).id).ok());
    ASSERT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog snapshots_{objects_};
  ImageCatalog images_{objects_};
};

TEST_F(Deletion, AnImageKnowsWhatItsSnapshotsHold) {
  const ImageRecord image = made("web").take();
  EXPECT_EQ(image.devices[0].content.digest, sample_record(1).content);
  EXPECT_EQ(image.devices[0].content.size, sample_record(1).size);
  EXPECT_EQ(image.devices[0].size, sample_record(1).size);
  EXPECT_EQ(images_.get(image.id).take(), image);
  ImageRecord missing = wanted("db");
  missing.devices[0].content.snapshot = SnapshotId{99};
  EXPECT_EQ(register_image(images_, snapshots_, missing).error().code(), ErrorCode::kNotFound);
  ImageRecord smaller = wanted("db");
  smaller.devices[0].size = ByteCount{4096};
  EXPECT_EQ(register_image(images_, snapshots_, smaller).error().code(), ErrorCode::kInvalid);
}

TEST_F(Deletion, WhatAnImageNeedsStays) {
  const ImageId id = made("web").take().id;
  const Status refused = delete_snapshot(objects_, kSnapshot);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
  EXPECT_EQ(refused.error().text(),
            kSnapshot.text() + " is in use by " + id.text() + ": deregister that image first");
  EXPECT_TRUE(is_there(kSnapshot));
  ASSERT_TRUE(deregister(id).ok());
  EXPECT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
  EXPECT_FALSE(is_there(kSnapshot));
  EXPECT_TRUE(is_there(sample_record(2).id));
}

// Returns the bytes of an object with one bit of its last byte flipped: every format notices that.
void damage(ObjectStore& objects, const std::string& key) {
  ByteVector bytes = get_object(objects, key, 1 << 20).take();
  bytes.back() ^= std::byte{1};
  overwrite(objects, key, bytes);
}

TEST_F(Deletion, ADamagedImageKeepsTheSnapshotsThatItNamesAndNoOther) {
  const ImageId id = made("web").take().id;
  damage(objects_, "images/" + id.text());
  ASSERT_TRUE(is(images_.get(id), ErrorCode::kCorrupt));
  const Status refused = delete_snapshot(objects_, kSnapshot);
  ASSERT_TRUE(is(refused, ErrorCode::kBusy));
  EXPECT_NE(refused.error().text().find("named in the damaged record images/" + id.text()),
            std::string::npos);
  EXPECT_TRUE(delete_snapshot(objects_, sample_record(2).id).ok());
  EXPECT_EQ(purge_bin(objects_, UtcTime::now()).take().snapshots, std::vector{sample_record(2).id});
}

TEST_F(Deletion, ADamagedVolumeKeepsTheSnapshotsThatItNamesAndNoOther) {
  VolumeRecord volume;
  volume.id = VolumeId{7};
  volume.size = ByteCount{4096};
  volume.base = kSnapshot;
  ASSERT_TRUE(VolumeCatalog(objects_).publish(volume).ok());
  EXPECT_EQ(delete_snapshot(objects_, kSnapshot).error().text(),
            kSnapshot.text() + " is in use by " + volume.id.text() + ": delete that volume first");
  damage(objects_, "volumes/" + volume.id.text());
  EXPECT_TRUE(is(delete_snapshot(objects_, kSnapshot), ErrorCode::kBusy));
  EXPECT_TRUE(delete_snapshot(objects_, sample_record(2).id).ok());
}

// A deletion keeps what it could not read: a snapshot whose record can not be read, and one whose users
// can't be.
TEST_F(Deletion, AReadThatFailsRemovesNothing) {
  made("web").take();
  const std::array codes = {ErrorCode::kIo, ErrorCode::kExhausted, ErrorCode::kUnsupported,
                            ErrorCode::kCancelled};
  for (const ErrorCode code : codes) {
    for (const std::string folder : {"snapshots/", "images/"}) {
      UnreadableFolder objects(objects_, folder, code);
      const Status refused = delete_snapshot(objects, sample_record(2).id);
      EXPECT_TRUE(is(refused, code)) << folder;
      EXPECT_TRUE(is_there(sample_record(2).id)) << folder;
      EXPECT_TRUE(is_bin_empty()) << folder;
    }
  }
  damage(objects_, "snapshots/" + sample_record(2).id.text());
  EXPECT_TRUE(is(delete_snapshot(objects_, sample_record(2).id), ErrorCode::kCorrupt));
  EXPECT_TRUE(objects_.stat("snapshots/" + sample_record(2).id.text()).ok());
}

TEST_F(Deletion, APurgeThatCanNotReadTheUsersTakesNothing) {
  made("web").take();
  ASSERT_TRUE(delete_snapshot(objects_, sample_record(2).id).ok());
  UnreadableFolder objects(objects_, "images/", ErrorCode::kIo);
  EXPECT_TRUE(is(purge_bin(objects, UtcTime::now()), ErrorCode::kIo));
  EXPECT_TRUE(snapshots_.find_in_bin(sample_record(2).id).ok());
}

// Counts the objects that are opened in one folder.
class CountedReads : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;
  Result<std::shared_ptr<ObjectReader>> open(std::string_view key, ReadMode mode) override {
    reads_ += key.starts_with("images/") ? 1 : 0;
    return ForwardingObjects::open(key, mode);
  }
  std::size_t reads() const { return reads_; }

 private:
  std::size_t reads_ = 0;
};

TEST_F(Deletion, ManyAreDeletedWithTwoReadingsOfTheImages) {
  constexpr std::uint64_t kMany = 40;
  std::vector<SnapshotId> ids;
  for (std::uint64_t number = 3; number < 3 + kMany; ++number) {
    ASSERT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
    ids.push_back(sample_record(number).id);
    made(fmt::format("web-{}", number)).take();
  }
  CountedReads objects(objects_);
  std::vector<SnapshotId> all = ids;
  all.push_back(kSnapshot);
  const std::vector<Status> done = delete_snapshots(objects, all);
  for (std::size_t i = 0; i < kMany; ++i) EXPECT_TRUE(done[i].ok()) << i;
  EXPECT_TRUE(is(done.back(), ErrorCode::kBusy));
  EXPECT_EQ(objects.reads(), 2 * kMany);
  EXPECT_EQ(purge_bin(objects, UtcTime::now()).take().snapshots.size(), kMany);
  EXPECT_EQ(objects.reads(), 4 * kMany) << "one for the users, and one for the images in the bin";
}

TEST_F(Deletion, WhatWasDeletedComesBackAsItWas) {
  ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
  EXPECT_EQ(delete_snapshot(objects_, kSnapshot).error().code(), ErrorCode::kNotFound);
  SnapshotRecord again = sample_record(1);
  again.incarnation = 2;
  EXPECT_EQ(restore_snapshot(objects_, kSnapshot).take(), again);
  EXPECT_EQ(snapshots_.get(kSnapshot).take(), again);
  EXPECT_EQ(restore_snapshot(objects_, kSnapshot).error().code(), ErrorCode::kNotFound);
}

TEST_F(Deletion, AnImageComesBackWithItsSnapshotsOnly) {
  const ImageId id = made("web").take().id;
  EXPECT_EQ(restore_image(objects_, id).error().code(), ErrorCode::kInvalid);
  ASSERT_TRUE(deregister(id).ok());
  ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
  const Error refused = restore_image(objects_, id).take_error();
  EXPECT_EQ(refused.code(), ErrorCode::kBusy);
  EXPECT_EQ(refused.kind(), ErrorKind::kNoSuchSnapshot);
  EXPECT_EQ(refused.id(), kSnapshot.text());
  EXPECT_EQ(refused.text(), kSnapshot.text() + " is in the bin, and " + id.text() + " needs it");
  EXPECT_EQ(images_.get(id).take().state, ImageState::kDeregistered);
  ASSERT_TRUE(restore_snapshot(objects_, kSnapshot).ok());
  EXPECT_EQ(restore_image(objects_, id).take().state, ImageState::kAvailable);
}

TEST_F(Deletion, APurgeTakesWhatLayLongEnough) {
  const ImageId id = made("web").take().id;
  ASSERT_TRUE(deregister(id).ok());
  ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
  const Purged early = purge_bin(objects_, UtcTime{4}).take();
  EXPECT_TRUE(early.snapshots.empty() && early.images.empty());
  const Purged images = purge_bin(objects_, UtcTime{5}).take();
  EXPECT_TRUE(images.snapshots.empty());
  EXPECT_EQ(images.images, std::vector{id});
  EXPECT_EQ(purge_bin(objects_, UtcTime::now()).take().snapshots, std::vector{kSnapshot});
  EXPECT_EQ(restore_snapshot(objects_, kSnapshot).error().code(), ErrorCode::kNotFound);
}

// Each of the two comes in before every operation of the other: an image that exists has its snapshots.
TEST_F(Deletion, AnImageIsMadeWhileItsSnapshotIsDeleted) {
  for (const bool deletes_first : {true, false}) {
    for (int at = 0;; ++at) {
      const std::string name = fmt::format("web-{}-{}", at, deletes_first);
      Result<ImageRecord> image = invalid("not tried");
      Status deleted;
      const auto act = [&] {
        deletes_first ? static_cast<void>(image = made(name))
                      : static_cast<void>(deleted = delete_snapshot(objects_, kSnapshot));
      };
      InterruptedObjects between(objects_, at, act);
      if (deletes_first) {
        deleted = delete_snapshot(between, kSnapshot);
      } else {
        ImageCatalog images(between);
        image = register_image(images, SnapshotCatalog(between), wanted(name));
      }
      if (!between.acted()) break;
      EXPECT_EQ(is_there(kSnapshot), !deleted.ok()) << name;
      EXPECT_FALSE(image.ok() && deleted.ok()) << name;
      for (const ImageRecord& record : images_.list().take()) {
        EXPECT_TRUE(is_there(kSnapshot)) << name;
        ASSERT_TRUE(images_.remove(record.id).ok());
      }
      if (!is_there(kSnapshot)) {
        ASSERT_TRUE(restore_snapshot(objects_, kSnapshot).ok());
      }
    }
    for (const ImageRecord& record : images_.list().take()) ASSERT_TRUE(images_.remove(record.id).ok());
    if (!is_there(kSnapshot)) {
      ASSERT_TRUE(restore_snapshot(objects_, kSnapshot).ok());
    }
  }
}

// A deletion, a restoring and a purge meet at a snapshot, each before every operation of each other:
// afterwards the snapshot is in its place or in the bin, and no purge took it.
TEST_F(Deletion, WhateverMeetsAtASnapshotItIsNotLost) {
  using Act = std::function<void(ObjectStore&)>;
  std::vector<SnapshotId> purged;
  const Act deletes = [](ObjectStore& objects) { (void)delete_snapshot(objects, kSnapshot).ok(); };
  const Act restores = [](ObjectStore& objects) { (void)restore_snapshot(objects, kSnapshot).ok(); };
  const Act purges = [&](ObjectStore& objects) {
    auto done = purge_bin(objects, UtcTime{1000});  // before the deletions of this test
    if (done.ok()) purged = done.value().snapshots;
  };
  for (const Act& first : {deletes, restores, purges}) {
    for (const Act& second : {deletes, restores, purges}) {
      for (const bool is_deleted : {false, true}) {
        for (int at = 0;; ++at) {
          purged.clear();
          publish_again(1);
          if (is_deleted) {
            ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
          }
          InterruptedObjects between(objects_, at, [&] { second(objects_); });
          first(between);
          EXPECT_TRUE(is_there(kSnapshot) || snapshots_.find_in_bin(kSnapshot).ok()) << at;
          EXPECT_TRUE(purged.empty()) << at;
          if (!between.acted()) break;
        }
      }
    }
  }
}

// An image is restored before any operation of its purge: the restoring succeeds, or the purge does, never
// both.
TEST_F(Deletion, AnImageIsRestoredWhileItIsPurged) {
  for (int at = 0;; ++at) {
    const ImageId id = made("web").take().id;
    ASSERT_TRUE(deregister(id).ok());
    Result<ImageRecord> restored = invalid("not tried");
    InterruptedObjects between(objects_, at, [&] { restored = restore_image(objects_, id); });
    const Purged purged = purge_bin(between, UtcTime{9}).take();
    EXPECT_EQ(images_.get(id).ok(), restored.ok()) << at;
    EXPECT_EQ(purged.images.empty(), restored.ok()) << at;
    if (images_.get(id).ok()) {
      ASSERT_TRUE(images_.remove(id).ok());
    }
    if (!between.acted()) break;
  }
}

// A snapshot is restored before any operation of a purge: the purge goes on, and the snapshot is there unless
// the purge had it first.
TEST_F(Deletion, ASnapshotIsRestoredWhileItIsPurged) {
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
    bool restored = false;
    InterruptedObjects between(objects_, at, [&] { restored = restore_snapshot(objects_, kSnapshot).ok(); });
    const auto purged = purge_bin(between, UtcTime::now());
    ASSERT_TRUE(purged.ok()) << purged.error().text();
    EXPECT_EQ(is_there(kSnapshot), restored);
    EXPECT_TRUE(is_bin_empty());
    EXPECT_EQ(purged.value().snapshots.empty(), restored);
    if (!is_there(kSnapshot)) publish_again(1);
    if (!between.acted()) break;
  }
}

// A purge runs before any operation of another one: both succeed, and each thing is purged by one of them.
// The bin holds an image, a snapshot, and a snapshot that is in use because its deletion was cut off.
TEST_F(Deletion, APurgeRunsWhileAnotherPurges) {
  made("live").take();
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    const ImageId id = made("web").take().id;
    ASSERT_TRUE(deregister(id).ok());
    ASSERT_TRUE(delete_snapshot(objects_, sample_record(2).id).ok());
    cut_off_deletion(kSnapshot);
    Result<Purged> inner = Purged{};
    InterruptedObjects between(objects_, at, [&] { inner = purge_bin(objects_, UtcTime::now()); });
    const auto outer = purge_bin(between, UtcTime::now());
    ASSERT_TRUE(outer.ok()) << outer.error().text();
    ASSERT_TRUE(inner.ok()) << inner.error().text();
    EXPECT_EQ(outer.value().images.size() + inner.value().images.size(), 1U);
    EXPECT_EQ(outer.value().snapshots.size() + inner.value().snapshots.size(), 1U);
    EXPECT_TRUE(is(images_.get(id), ErrorCode::kNotFound));
    EXPECT_TRUE(is_there(kSnapshot));
    EXPECT_TRUE(is_bin_empty());
    ASSERT_TRUE(publish_snapshot(objects_, sample_record(2)).ok());
    if (!between.acted()) break;
  }
}

// The deletion of a snapshot was cut off after an image of it had been made: a purge puts the snapshot back.
TEST_F(Deletion, APurgePutsBackWhatIsUsed) {
  const ImageId id = made("web").take().id;
  cut_off_deletion(kSnapshot);
  EXPECT_TRUE(purge_bin(objects_, UtcTime{9}).take().snapshots.empty());
  EXPECT_TRUE(is_there(kSnapshot));
  EXPECT_TRUE(images_.get(id).ok());
}

// A capture stands on a snapshot that is deleted and purged meanwhile: its object stays until the capture
// ends.
TEST_F(Deletion, APurgeLeavesWhatAWriterStandsOn) {
  const std::string key = SnapshotCatalog::key_of(kSnapshot);
  auto writer = Session::begin(objects_, StoreId{}, {{SnapshotId{50}}, {kSnapshot}}).take();
  ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
  EXPECT_EQ(purge_bin(objects_, UtcTime::now()).take().snapshots, std::vector{kSnapshot});
  EXPECT_FALSE(snapshots_.find_in_bin(kSnapshot).ok());
  EXPECT_TRUE(objects_.stat(key).ok());
  EXPECT_TRUE(is(Session::begin(objects_, StoreId{}, {{SnapshotId{51}}, {kSnapshot}}), ErrorCode::kNotFound))
      << "no other may stand on it any more";
  writer.reset();
  EXPECT_TRUE(purge_bin(objects_, UtcTime::now()).take().snapshots.empty());
  EXPECT_TRUE(is(objects_.stat(key), ErrorCode::kNotFound));
}

// A session that can't be read may stand on anything.
TEST_F(Deletion, APurgeLeavesWhatASessionMayStandOnThatCanNotBeRead) {
  overwrite(objects_, "sessions/00000000000000000000000000000007", as_byte_span("damaged"));
  ASSERT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
  EXPECT_EQ(purge_bin(objects_, UtcTime::now()).take().snapshots, std::vector{kSnapshot});
  EXPECT_TRUE(objects_.stat(SnapshotCatalog::key_of(kSnapshot)).ok());
}

TEST_F(Deletion, APurgeRemovesWhatDeadWritersLeft) {
  SessionId gone;
  gone.bytes.fill(std::byte{7});
  ASSERT_TRUE(snapshots_.open({SnapshotId{50}, StoreId{}, gone, {}}).ok());
  const auto alive = Session::begin(objects_, StoreId{}, {{SnapshotId{51}}, {}}).take();
  EXPECT_TRUE(purge_bin(objects_, UtcTime{1}).take().snapshots.empty());
  EXPECT_TRUE(is(objects_.stat(SnapshotCatalog::key_of(SnapshotId{50})), ErrorCode::kNotFound));
  EXPECT_TRUE(objects_.stat(SnapshotCatalog::key_of(SnapshotId{51})).ok());
}

TEST_F(Deletion, AnImageComesBackAsItWas) {
  const ImageId id = made("web").take().id;
  ASSERT_TRUE(images_
                  .update(id,
                          [](ImageRecord& now) -> Status {
                            now.state = ImageState::kDeregistered;
                            now.former_state = ImageState::kDisabled;
                            now.deregistered = UtcTime{5};
                            return {};
                          })
                  .ok());
  EXPECT_EQ(restore_image(objects_, id).take().state, ImageState::kDisabled);
}

TEST_F(Deletion, ImagesOfSessionsThatAreGoneAreFailed) {
  ImageRecord pending = wanted("web");
  pending.id = ImageId{1};
  pending.state = ImageState::kPending;
  pending.session.bytes.fill(std::byte{7});
  ASSERT_TRUE(fill_contents(snapshots_, pending).ok());
  ASSERT_TRUE(images_.publish(pending).ok());
  EXPECT_EQ(fail_abandoned_images(images_, objects_).take(), 1U);
  const ImageRecord failed = images_.get(ImageId{1}).take();
  EXPECT_EQ(failed.state, ImageState::kFailed);
  EXPECT_FALSE(failed.state_reason.empty());
  EXPECT_EQ(fail_abandoned_images(images_, objects_).take(), 0U);
  EXPECT_TRUE(delete_snapshot(objects_, kSnapshot).ok());
}

TEST_F(Deletion, AnAbandonedImageThatIsRemovedMeanwhileKeepsNoOtherFromBeingFailed) {
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    for (const std::uint64_t number : {1, 2}) {
      ImageRecord pending = wanted("web" + std::to_string(number));
      pending.id = ImageId{number};
      pending.state = ImageState::kPending;
      pending.session.bytes.fill(std::byte{7});
      ASSERT_TRUE(fill_contents(snapshots_, pending).ok());
      ASSERT_TRUE(images_.publish(pending).ok());
    }
    InterruptedObjects between(objects_, at, [&] { ASSERT_TRUE(images_.remove(ImageId{1}).ok()); });
    ImageCatalog images(between);
    const auto failed = fail_abandoned_images(images, between);
    ASSERT_TRUE(failed.ok()) << failed.error().text();
    EXPECT_EQ(images_.get(ImageId{2}).take().state, ImageState::kFailed);
    ASSERT_TRUE(images_.remove(ImageId{2}).ok());
    if (!between.acted()) break;
  }
}

}  // namespace
}  // namespace ashlar
