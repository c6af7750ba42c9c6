#include "catalog/images.h"

#include "catalog/records.h"
#include "codec/hash.h"
#include "format/name_claim.h"
#include "support/forwarding_objects.h"

namespace ashlar {
namespace {

ImageRecord sample_image(std::uint64_t number, const std::string& name) {
  ImageRecord record;
  record.id = ImageId{0x1000 + number};
  record.created.unix_ns = number;
  record.owner = AccountId{1};
  record.name = name;
  record.root_device = "/dev/sda";
  record.devices.resize(1);
  record.devices[0].name = "/dev/sda";
  record.devices[0].content = {SnapshotId{number}, {}, ByteCount{4096}};
  record.devices[0].size = ByteCount{4096};
  return record;
}

class Images : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }
  void state(ImageId id, ImageState state) {
    const auto changed = catalog_.update(id, [&](ImageRecord& now) -> Status {
      now.state = state;
      now.deregistered.reset();
      if (state == ImageState::kDeregistered) now.deregistered = UtcTime{1};
      return {};
    });
    ASSERT_TRUE(changed.ok()) << changed.error().text();
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  ImageCatalog catalog_{objects_};
};

TEST_F(Images, ArePublishedChangedListedAndRemoved) {
  ASSERT_TRUE(catalog_.publish(sample_image(2, "two")).ok());
  ASSERT_TRUE(catalog_.publish(sample_image(1, "one")).ok());
  const auto changed = catalog_.update(ImageId{0x1001}, [](ImageRecord& now) -> Status {
    now.tags["a"] = "b";
    return {};
  });
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed.value().revision, 2U);
  EXPECT_EQ(catalog_.get(ImageId{0x1001}).take(), changed.value());
  EXPECT_EQ(catalog_.list().take(), (std::vector{changed.value(), sample_image(2, "two")}));
  ASSERT_TRUE(catalog_.remove(ImageId{0x1001}).ok());
  EXPECT_EQ(catalog_.get(ImageId{0x1001}).error().text(), "no image ami-00000000000001001 in this store");
}

TEST_F(Images, AChangeOfNothingAndARefusedOneWriteNothing) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "one")).ok());
  auto same = catalog_.update(ImageId{0x1001}, [](ImageRecord&) -> Status { return {}; });
  EXPECT_EQ(same.take().revision, 1U);
  const auto refused = catalog_.update(ImageId{0x1001}, [](ImageRecord& now) -> Status {
    now.name = "other";
    return invalid("no");
  });
  EXPECT_EQ(refused.error().text(), "no");
  EXPECT_EQ(catalog_.get(ImageId{0x1001}).take(), sample_image(1, "one"));
}

// A change is applied to the record as it is, also when others change it first three times.
TEST_F(Images, ChangesOfTwoAtOnceAreBothThere) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "one")).ok());
  ImageCatalog other(objects_);
  int quicker = 3;
  const auto slow = catalog_.update(ImageId{0x1001}, [&](ImageRecord& now) -> Status {
    if (quicker-- > 0) {
      EXPECT_TRUE(other
                      .update(ImageId{0x1001},
                              [&](ImageRecord& theirs) -> Status {
                                theirs.tags[std::to_string(quicker)] = "theirs";
                                return {};
                              })
                      .ok());
    }
    now.tags["ours"] = "ours";
    return {};
  });
  ASSERT_TRUE(slow.ok());
  EXPECT_EQ(slow.value().tags.size(), 4U);
  EXPECT_EQ(slow.value().revision, 5U);
}

TEST_F(Images, OneOwnerHasANameOnce) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  const Status again = catalog_.publish(sample_image(2, "web"));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), ErrorCode::kBusy);
  EXPECT_EQ(again.error().text(), "ami-00000000000001001 has the name 'web' already");
  EXPECT_EQ(catalog_.list_ids().take().size(), 1U);
  ImageRecord theirs = sample_image(3, "web");
  theirs.owner = AccountId{2};
  EXPECT_TRUE(catalog_.publish(theirs).ok());
  EXPECT_TRUE(catalog_.publish(sample_image(4, "Web")).ok());
}

TEST_F(Images, ANameIsFreeWhenItsImageIsGoneFailedOrDeregistered) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  ASSERT_TRUE(catalog_.remove(ImageId{0x1001}).ok());
  ASSERT_TRUE(catalog_.publish(sample_image(2, "web")).ok());
  state(ImageId{0x1002}, ImageState::kFailed);
  ASSERT_TRUE(catalog_.publish(sample_image(3, "web")).ok());
  state(ImageId{0x1003}, ImageState::kDeregistered);
  ASSERT_TRUE(catalog_.publish(sample_image(4, "web")).ok());
  state(ImageId{0x1004}, ImageState::kDisabled);
  EXPECT_EQ(catalog_.publish(sample_image(5, "web")).error().code(), ErrorCode::kBusy);
}

TEST_F(Images, OneThatComesBackNeedsItsName) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  state(ImageId{0x1001}, ImageState::kDeregistered);
  ASSERT_TRUE(catalog_.publish(sample_image(2, "web")).ok());
  const auto back = catalog_.update(ImageId{0x1001}, [](ImageRecord& now) -> Status {
    now.state = ImageState::kAvailable;
    now.deregistered.reset();
    return {};
  });
  EXPECT_EQ(back.error().text(), "ami-00000000000001002 has the name 'web' already");
  EXPECT_EQ(catalog_.get(ImageId{0x1001}).take().state, ImageState::kDeregistered);
  ASSERT_TRUE(catalog_.remove(ImageId{0x1002}).ok());
  state(ImageId{0x1001}, ImageState::kAvailable);
  EXPECT_EQ(catalog_.publish(sample_image(3, "web")).error().code(), ErrorCode::kBusy);
}

// A claim is left without an image when its maker died before it wrote the record; the name can be taken.
TEST_F(Images, AClaimWithoutAnImageIsTaken) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  ASSERT_TRUE(RecordFolder<ImageKind>(objects_).remove(ImageId{0x1001}).ok());
  EXPECT_TRUE(catalog_.publish(sample_image(2, "web")).ok());
}

std::string claim_key(const ImageRecord& record) {
  return "image-names/" + record.owner.text() + "-" + to_hex(sha256(as_byte_span(record.name)));
}

TEST_F(Images, AClaimIsReplacedAndNeverDeleted) {
  const auto claim = [&] {
    return decode_name_claim(get_object(objects_, claim_key(sample_image(1, "web")), 4096).take()).take();
  };
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  const NameClaim first = claim();
  EXPECT_EQ(first.image, ImageId{0x1001});
  EXPECT_EQ(first.revision, 2U) << "put, and replaced once its image was there";
  ASSERT_TRUE(catalog_.remove(ImageId{0x1001}).ok());
  EXPECT_EQ(claim(), first);
  ASSERT_TRUE(catalog_.publish(sample_image(2, "web")).ok());
  EXPECT_EQ(claim().image, ImageId{0x1002});
  EXPECT_EQ(claim().revision, 4U);
}

TEST_F(Images, ADamagedClaimIsTakenUnlessALivingImageHasTheName) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  overwrite(objects_, claim_key(sample_image(1, "web")), as_byte_span("ami"));
  EXPECT_TRUE(catalog_.check_name(sample_image(1, "web")).ok()) << "the claim itself is the fault";
  EXPECT_EQ(catalog_.publish(sample_image(2, "web")).error().code(), ErrorCode::kBusy);
  EXPECT_EQ(catalog_.unreadable_claims().take().size(), 1U);
  ASSERT_TRUE(catalog_.remove(ImageId{0x1001}).ok());
  EXPECT_TRUE(catalog_.publish(sample_image(2, "web")).ok());
  EXPECT_TRUE(catalog_.check_name(sample_image(2, "web")).ok());
  EXPECT_TRUE(catalog_.unreadable_claims().take().empty());
}

TEST_F(Images, ADamagedClaimIsMadeAnewForTheImageThatHasTheName) {
  const std::string key = claim_key(sample_image(1, "web"));
  ByteVector kept;
  const auto keep = [&](ByteSpan bytes) -> Status {
    kept.assign(bytes.begin(), bytes.end());
    return {};
  };
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  ASSERT_TRUE(catalog_.publish(sample_image(2, "other")).ok());
  EXPECT_EQ(catalog_.renew_claim(key, keep).error().code(), ErrorCode::kInvalid) << "it is sound";
  overwrite(objects_, key, as_byte_span("ami"));
  ASSERT_TRUE(catalog_.renew_claim(key, keep).ok());
  EXPECT_EQ(as_text(kept), "ami");
  EXPECT_TRUE(catalog_.unreadable_claims().take().empty());
  EXPECT_TRUE(catalog_.check_name(sample_image(1, "web")).ok());
  EXPECT_EQ(catalog_.publish(sample_image(3, "web")).error().code(), ErrorCode::kBusy);
  // An image that can't be read may have the name.
  overwrite(objects_, key, as_byte_span("ami"));
  overwrite(objects_, "images/" + ImageId{0x1001}.text(), as_byte_span("{}"));
  EXPECT_EQ(catalog_.renew_claim(key, keep).error().code(), ErrorCode::kCorrupt);
  ASSERT_TRUE(catalog_.remove(ImageId{0x1001}).ok());
  ASSERT_TRUE(catalog_.renew_claim(key, keep).ok());
  EXPECT_TRUE(catalog_.unreadable_claims().take().empty());
  EXPECT_TRUE(catalog_.publish(sample_image(3, "web")).ok()) << "no image has the name";
}

// The state of a damaged image is unknown, so it keeps its name.
TEST_F(Images, ADamagedImageKeepsItsName) {
  ASSERT_TRUE(catalog_.publish(sample_image(1, "web")).ok());
  overwrite(objects_, "images/" + ImageId{0x1001}.text(), as_byte_span("{}"));
  EXPECT_EQ(catalog_.publish(sample_image(2, "web")).error().code(), ErrorCode::kBusy);
}

// A second publication of the same name comes in before each operation of the first: at most one of them
// succeeds.
TEST_F(Images, OfTwoThatMeetAtANameAtMostOneIsThere) {
  for (const bool stale_claim : {false, true}) {
    for (int at = 0;; ++at) {
      const std::string name = fmt::format("web-{}-{}", at, stale_claim);
      const auto number = static_cast<std::uint64_t>(100 * at + (stale_claim ? 50 : 0));
      if (stale_claim) {
        ASSERT_TRUE(catalog_.publish(sample_image(number + 3, name)).ok());
        ASSERT_TRUE(RecordFolder<ImageKind>(objects_).remove(ImageId{0x1003 + number}).ok());
      }
      Status theirs;
      InterruptedObjects between(objects_, at,
                                 [&] { theirs = catalog_.publish(sample_image(number + 2, name)); });
      const Status ours = ImageCatalog(between).publish(sample_image(number + 1, name));
      if (!between.acted()) break;
      EXPECT_FALSE(ours.ok() && theirs.ok()) << at;
      EXPECT_EQ(catalog_.get(ImageId{0x1001 + number}).ok(), ours.ok()) << at;
      EXPECT_EQ(catalog_.get(ImageId{0x1002 + number}).ok(), theirs.ok()) << at;
      // A name that one of them got cannot be taken by a third; a name that none got is free.
      if (ours.ok() || theirs.ok()) {
        EXPECT_EQ(catalog_.publish(sample_image(number + 4, name)).error().code(), ErrorCode::kBusy) << at;
      } else {
        EXPECT_TRUE(catalog_.publish(sample_image(number + 4, name)).ok()) << at;
      }
      for (const ImageId id : catalog_.list_ids().take()) ASSERT_TRUE(catalog_.remove(id).ok());
    }
  }
}

// A claim is taken over from an image that another process has deregistered, not durably. The power is cut at
// any operation: the image is back with its name, or it stays deregistered.
TEST_F(Images, ATakenOverNameStaysTakenOver) {
  ImageRecord old = sample_image(1, "web");
  ASSERT_TRUE(catalog_.publish(old).ok());
  ImageRecord gone = old;
  gone.state = ImageState::kDeregistered;
  gone.deregistered = UtcTime{1};
  ++gone.revision;
  ASSERT_TRUE(objects_
                  .replace(ImageCatalog::key_of(old.id), as_byte_span(encode(old)),
                           as_byte_span(encode(gone)), Lasts::kWhilePowered)
                  .ok());
  const auto disk = files_.before(files_.operations());
  for (std::uint64_t n = 0;; ++n) {
    SCOPED_TRACE(n);
    const auto files = disk->before(0);
    LocalObjectStore objects(*files, kRoot);
    files->stop_at(n);
    const bool is_published = ImageCatalog(objects).publish(sample_image(2, "web")).ok();
    files->crash(SimulatedFileSystem::kLoseUnsynced);
    LocalObjectStore after(*files, kRoot);
    const ImageCatalog images(after);
    for (const ImageRecord& image : images.list().take()) EXPECT_TRUE(images.check_name(image).ok());
    if (!is_published) continue;
    EXPECT_TRUE(images.get(ImageId{0x1002}).ok());
    break;
  }
}

}  // namespace
}  // namespace ashlar
