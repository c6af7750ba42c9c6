// Tests of an image that is being made: it has its name at once, is kept or taken back, and is failed when
// its maker is gone.
#include "image/pending_image.h"

#include "catalog/records.h"
#include "image/deletion.h"
#include "image/register.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

using Snapshots = PendingImage::Snapshots;

class Pending : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }

  static ImageRecord wanted(std::uint64_t id, const std::string& name) {
    ImageRecord record;
    record.id = ImageId{id};
    record.owner = AccountId{1};
    record.name = name;
    record.root_device = "/dev/sda";
    record.devices.resize(1);
    record.devices[0].name = "/dev/sda";
    record.devices[0].size = sample_record(1).size;
    record.devices[0].content = {sample_record(1).id, {}, sample_record(1).size};
    return record;
  }
  std::unique_ptr<PendingImage> begun(Snapshots when_taken_back = Snapshots::kStay) {
    return PendingImage::begin(objects_, StoreId{}, when_taken_back).take();
  }
  Status make_snapshot() { return publish_snapshot(objects_, sample_record(1)); }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog snapshots_{objects_};
  ImageCatalog images_{objects_};
};

TEST_F(Pending, ItIsThereFromItsPublicationAndAvailableWhenItIsKept) {
  const auto pending = begun();
  EXPECT_TRUE(images_.list_ids().take().empty());
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  EXPECT_EQ(images_.get(ImageId{1}).take().state, ImageState::kPending);
  EXPECT_EQ(pending->record(), images_.get(ImageId{1}).take());
  EXPECT_EQ(fail_abandoned_images(images_, objects_).take(), 0U);
  ASSERT_TRUE(make_snapshot().ok());
  const ImageRecord kept = pending->keep().take();
  EXPECT_EQ(kept.state, ImageState::kAvailable);
  EXPECT_EQ(kept.devices[0].content.digest, sample_record(1).content);
  EXPECT_EQ(images_.get(ImageId{1}).take(), kept);
}

TEST_F(Pending, AnImageThatIsKeptStays) {
  auto pending = begun(Snapshots::kGoToBin);
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  ASSERT_TRUE(make_snapshot().ok());
  ASSERT_TRUE(pending->keep().ok());
  pending.reset();
  EXPECT_EQ(images_.get(ImageId{1}).take().state, ImageState::kAvailable);
  EXPECT_TRUE(snapshots_.get(sample_record(1).id).ok());
  EXPECT_TRUE(list_session_ids(objects_).take().empty());
}

TEST_F(Pending, AnImageThatIsNotKeptIsTakenBackAndItsNameIsFree) {
  auto pending = begun();
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  ASSERT_TRUE(make_snapshot().ok());
  pending.reset();
  EXPECT_EQ(images_.get(ImageId{1}).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(snapshots_.get(sample_record(1).id).ok());
  EXPECT_TRUE(begun()->publish(wanted(2, "web")).ok());
}

TEST_F(Pending, ItsSnapshotsGoToTheBinUnlessAnotherImageUsesThem) {
  auto pending = begun(Snapshots::kGoToBin);
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  ASSERT_TRUE(make_snapshot().ok());
  ASSERT_TRUE(register_image(images_, snapshots_, wanted(0, "other")).ok());
  pending.reset();
  EXPECT_TRUE(snapshots_.get(sample_record(1).id).ok());
  ASSERT_TRUE(images_.remove(images_.list_ids().take().front()).ok());
  pending = begun(Snapshots::kGoToBin);
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  pending.reset();
  EXPECT_FALSE(snapshots_.get(sample_record(1).id).ok());
  EXPECT_TRUE(snapshots_.find_in_bin(sample_record(1).id).ok());
}

TEST_F(Pending, ASnapshotThatIsMissingKeepsItFromBeingAvailable) {
  const auto pending = begun();
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  EXPECT_EQ(pending->keep().error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(images_.get(ImageId{1}).take().state, ImageState::kPending);
}

TEST_F(Pending, ANameThatIsTakenIsRefusedAndTheOtherImageStays) {
  const auto first = begun();
  ASSERT_TRUE(first->publish(wanted(1, "web")).ok());
  EXPECT_EQ(begun()->publish(wanted(2, "web")).error().code(), ErrorCode::kBusy);
  EXPECT_TRUE(images_.get(ImageId{1}).ok());
}

TEST_F(Pending, AnImageThatWasFailedMeanwhileIsNotMadeAvailable) {
  const auto pending = begun();
  ASSERT_TRUE(pending->publish(wanted(1, "web")).ok());
  ASSERT_TRUE(make_snapshot().ok());
  ASSERT_TRUE(objects_.remove("sessions/" + list_session_ids(objects_).take().front().hex()).ok());
  EXPECT_EQ(pending->check_session().error().code(), ErrorCode::kBusy);
  EXPECT_EQ(fail_abandoned_images(images_, objects_).take(), 1U);
  EXPECT_EQ(pending->keep().error().code(), ErrorCode::kBusy);
}

}  // namespace
}  // namespace ashlar
