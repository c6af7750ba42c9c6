// Tests of what an account may do with images: its own, those that were shared with it, and those of others.
#include "action/images.h"

#include "image_world.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

class Images : public ImageWorld {};

TEST_F(Images, ARequestThatMakesNoSenseIsRefusedWithoutTheStore) {
  EXPECT_TRUE(check_request(wanted("web", SnapshotId{1})).ok());
  EXPECT_CODE(check_request(wanted("x", SnapshotId{1})), ErrorCode::kInvalid);
  EXPECT_CODE(check_request(wanted("web", SnapshotId{})), ErrorCode::kInvalid);
  RegisterImage request = wanted("web", SnapshotId{1});
  request.root_device = "/dev/sdb";
  EXPECT_CODE(check_request(request), ErrorCode::kInvalid);
  request = wanted("web", SnapshotId{1});
  request.ramdisk = SnapshotId{2};
  EXPECT_CODE(check_request(request), ErrorCode::kInvalid);
}

TEST_F(Images, AnImageBelongsToTheAccountThatRegistersIt) {
  const SnapshotId disk = snapshot("disk");
  const ImageRecord made = register_image(here(), owner_, wanted("web", disk)).take();
  EXPECT_EQ(made.owner, owner_.account);
  EXPECT_EQ(made.store, here().config().id);
  EXPECT_EQ(made.root_device, "/dev/sda");
  EXPECT_EQ(made.devices[0].size, ByteCount{kMiB});
  EXPECT_EQ(describe_images(here(), owner_, {{made.id}, {}, {}, {}, false}).take().images.front(), made);
  EXPECT_CODE(register_image(here(), owner_, wanted("web", disk)), ErrorCode::kBusy);
  EXPECT_TRUE(register_image(here(), other_, wanted("web", disk)).ok());
  EXPECT_CODE(register_image(here(), owner_, wanted("db-1", SnapshotId{77})), ErrorCode::kNotFound);
}

TEST_F(Images, AnImageThatShouldBeCleanIsMadeOfCleanDisksOnly) {
  RegisterImage request = wanted("web", snapshot("blank"));
  request.must_be_clean = true;
  EXPECT_TRUE(register_image(here(), owner_, request).ok());
  request = wanted("db-1", snapshot("unknown", true));
  request.must_be_clean = true;
  EXPECT_CODE(register_image(here(), owner_, request), ErrorCode::kInvalid);
  EXPECT_EQ(listed(owner_), Names{"web"});
}

TEST_F(Images, AnotherAccountSeesAnImageOnceItIsShared) {
  const ImageId id = made("web");
  const DescribeImages by_id{{id}, {}, {}, {}, false};
  EXPECT_EQ(listed(other_), Names{});
  EXPECT_CODE(describe_images(here(), other_, by_id), ErrorCode::kNotFound);
  ASSERT_OK(share(id, other_.account));
  EXPECT_EQ(listed(other_), Names{"web"});
  EXPECT_TRUE(describe_images(here(), other_, by_id).ok());
  EXPECT_EQ(listed(Caller{AccountId{3}, notices_, {}}), Names{});
  ASSERT_OK(share(id, Grantee()));
  EXPECT_EQ(listed(Caller{AccountId{3}, notices_, {}}), Names{"web"});
  ASSERT_OK(modify_launch_permissions(here(), owner_, id, {{}, {Grantee(), other_.account}}));
  EXPECT_EQ(listed(other_), Names{});
}

TEST_F(Images, ListsAreFilteredByOwnerPermissionAndAttribute) {
  const ImageId web = made("web");
  made("db-1");
  ASSERT_OK(register_image(here(), other_, wanted("mail", snapshot("mail"))));
  ASSERT_OK(share(web, other_.account));
  EXPECT_EQ(listed(other_), (Names{"web", "mail"}));
  EXPECT_EQ(listed(other_, {{}, {other_.account}, {}, {}, false}), Names{"mail"});
  EXPECT_EQ(listed(owner_, {{}, {}, {Grantee(other_.account)}, {}, false}), Names{"web"});
  EXPECT_EQ(listed(owner_, {{}, {}, {Grantee()}, {}, false}), Names{});
  EXPECT_EQ(listed(owner_, {{}, {}, {}, {{"name", {"d*"}}, {"state", {"available"}}}, false}), Names{"db-1"});
  EXPECT_EQ(listed(owner_, {{}, {}, {}, {{"name", {"d*"}}, {"state", {"failed"}}}, false}), Names{});
}

TEST_F(Images, ADamagedRecordIsNamedAndHidesNoOther) {
  const ImageId damaged = made("web");
  made("db-1");
  const std::string key = "images/" + damaged.text();
  ASSERT_OK(here().objects().remove(key));
  ASSERT_OK(here().objects().put_if_absent(key, as_byte_span(std::string_view("{}"))));
  const DescribedImages described = describe_images(here(), owner_, {}).take();
  EXPECT_EQ(described.images.size(), 1U);
  ASSERT_EQ(described.unread.size(), 1U);
  EXPECT_NE(described.unread[0].text().find(damaged.text()), std::string::npos);
}

TEST_F(Images, OnlyTheOwnerChangesAnImage) {
  const ImageId id = made("web");
  EXPECT_CODE(create_image_tags(here(), other_, id, {{"a", "b"}}), ErrorCode::kNotFound);
  ASSERT_OK(share(id, other_.account));
  EXPECT_CODE(create_image_tags(here(), other_, id, {{"a", "b"}}), ErrorCode::kInvalid);
  EXPECT_CODE(modify_image_description(here(), other_, id, "mine"), ErrorCode::kInvalid);
  EXPECT_CODE(modify_launch_permissions(here(), other_, id, {{Grantee()}, {}}), ErrorCode::kInvalid);
  EXPECT_CODE(disable_image(here(), other_, id), ErrorCode::kInvalid);
  EXPECT_CODE(deregister_image(here(), other_, id, ImageSnapshots::kDelete), ErrorCode::kInvalid);
  EXPECT_EQ(create_image_tags(here(), owner_, id, {{"a", "b"}, {"c", "d"}}).take().tags.size(), 2U);
  EXPECT_EQ(delete_image_tags(here(), owner_, id, {"a", "absent"}).take().tags, (Tags{{"c", "d"}}));
  EXPECT_CODE(create_image_tags(here(), owner_, id, {{"aws:x", "y"}}), ErrorCode::kInvalid);
  EXPECT_EQ(modify_image_description(here(), owner_, id, "new").take().description, "new");
}

TEST_F(Images, ADeprecatedImageIsFoundByItsIdOnly) {
  const ImageId id = made("web");
  ASSERT_OK(share(id, other_.account));
  ASSERT_OK(enable_image_deprecation(here(), owner_, id, UtcTime{1}));
  EXPECT_EQ(listed(other_), Names{});
  EXPECT_EQ(listed(owner_), Names{"web"});
  EXPECT_EQ(listed(other_, {{id}, {}, {}, {}, false}), Names{"web"});
  EXPECT_EQ(listed(other_, {{}, {}, {}, {}, true}), Names{"web"});
  ASSERT_OK(disable_image_deprecation(here(), owner_, id));
  EXPECT_EQ(listed(other_), Names{"web"});
}

TEST_F(Images, ADisabledImageIsItsOwnersAloneAlsoWhenItIsEnabledAgain) {
  const ImageId id = made("web");
  ASSERT_OK(share(id, other_.account));
  EXPECT_EQ(disable_image(here(), owner_, id).take().state, ImageState::kDisabled);
  EXPECT_EQ(disable_image(here(), owner_, id).take().state, ImageState::kDisabled);
  EXPECT_EQ(listed(other_), Names{});
  EXPECT_EQ(enable_image(here(), owner_, id).take().state, ImageState::kAvailable);
  EXPECT_EQ(listed(other_), Names{});
}

TEST_F(Images, DeregisteringKeepsTheSnapshotsOrDeletesThoseThatNoOtherNeeds) {
  const SnapshotId shared = snapshot("shared");
  const ImageId first = register_image(here(), owner_, wanted("web", shared)).take().id;
  const ImageId second = register_image(here(), owner_, wanted("db-1", shared)).take().id;
  DeregisteredImage done = deregister_image(here(), owner_, first, ImageSnapshots::kDelete).take();
  EXPECT_EQ(done.snapshots, std::vector{shared});
  EXPECT_TRUE(done.deleted.empty());
  EXPECT_EQ(notices_.notes.size(), 1U);
  EXPECT_CODE(deregister_image(here(), owner_, first, ImageSnapshots::kKeep), ErrorCode::kNotFound);
  EXPECT_CODE(enable_image(here(), owner_, first), ErrorCode::kNotFound);
  EXPECT_EQ(listed(owner_), Names{"db-1"});
  done = deregister_image(here(), owner_, second, ImageSnapshots::kDelete).take();
  EXPECT_EQ(done.deleted, std::vector{shared});
  EXPECT_FALSE(here().snapshots().get(shared).ok());
}

TEST_F(Images, DeregisteringLeavesOutASnapshotThatDoesNotExist) {
  const SnapshotId disk = snapshot("disk");
  const ImageId id = register_image(here(), owner_, wanted("web", disk)).take().id;
  ASSERT_OK(remove_snapshot(here().objects(), disk));
  EXPECT_TRUE(deregister_image(here(), owner_, id, ImageSnapshots::kKeep).take().snapshots.empty());
}

TEST_F(Images, WaitingEndsWhenTheImageIsAvailableOrNeverWillBe) {
  const SnapshotId disk = snapshot("disk");
  const ImageId ready = register_image(here(), owner_, wanted("web", disk)).take().id;
  EXPECT_TRUE(wait_for_image(here(), owner_, ready, std::chrono::seconds(0)).ok());
  EXPECT_CODE(wait_for_image(here(), other_, ready, std::chrono::seconds(0)), ErrorCode::kNotFound);
  auto pending =
      PendingImage::begin(here().objects(), here().config().id, PendingImage::Snapshots::kStay).take();
  ImageRecord record = AccountImages::open(here(), owner_).find(ready).take();
  record.id = ImageId{7};
  record.name = "db-1";
  ASSERT_OK(pending->publish(record));
  EXPECT_CODE(wait_for_image(here(), owner_, record.id, std::chrono::seconds(0)), ErrorCode::kBusy);
  EXPECT_CODE(deregister_image(here(), owner_, record.id, ImageSnapshots::kKeep), ErrorCode::kBusy);
  std::stop_source stop;
  stop.request_stop();
  const Caller stopped{owner_.account, notices_, stop.get_token()};
  EXPECT_CODE(wait_for_image(here(), stopped, record.id, std::chrono::hours(1)), ErrorCode::kCancelled);
  ASSERT_OK(here().objects().remove("sessions/" + pending->record().session.hex()));
  EXPECT_CODE(wait_for_image(here(), owner_, record.id, std::chrono::hours(1)), ErrorCode::kInvalid);
}

TEST_F(Images, AnImageIsSignedByItsOwnerAndTrustedThroughTheSettings) {
  const ImageId id = made("web");
  ASSERT_OK(share(id, other_.account));
  const SigningKey key = SigningKey::generate().take();
  EXPECT_CODE(sign_image(here(), other_, id, key), ErrorCode::kInvalid);
  ASSERT_OK(sign_image(here(), owner_, id, key));
  EXPECT_EQ(sign_image(here(), owner_, id, key).take().signatures.size(), 1U);
  VerifiedImage verified = verify_image(here(), other_, id).take();
  EXPECT_TRUE(verified.is_whole());
  EXPECT_FALSE(verified.is_trusted());
  ASSERT_OK(update_settings(here().objects(), [&](StoreSettings& settings) -> Status {
    settings.trusted_keys[key.public_key()] = "release";
    return {};
  }));
  verified = verify_image(here(), other_, id).take();
  EXPECT_TRUE(verified.is_trusted());
  EXPECT_EQ(verified.signatures.front().trusted_as, "release");
  ASSERT_OK(disable_image(here(), owner_, id));
  EXPECT_CODE(sign_image(here(), owner_, id, key), ErrorCode::kInvalid);
}

TEST_F(Images, ASnapshotThatIsGoneIsAFaultOfItsImage) {
  const ImageId id = made("web");
  const SnapshotId disk = snapshots_of(AccountImages::open(here(), owner_).find(id).take()).front();
  ASSERT_OK(remove_snapshot(here().objects(), disk));
  const VerifiedImage verified = verify_image(here(), owner_, id).take();
  EXPECT_FALSE(verified.is_whole());
  ASSERT_EQ(verified.faults.size(), 1U);
  EXPECT_TRUE(verified.faults[0].starts_with("/dev/sda: ")) << verified.faults[0];
}

TEST_F(Images, DisksAreInspectedByTheAccountsThatSeeTheImage) {
  const ImageId id = made("web");
  EXPECT_TRUE(are_clean(inspect_image(here(), owner_, id).take()));
  EXPECT_CODE(inspect_image(here(), other_, id), ErrorCode::kNotFound);
  EXPECT_FALSE(are_clean(inspect_snapshot(here(), owner_, snapshot("unknown", true)).take()));
}

}  // namespace
}  // namespace ashlar
