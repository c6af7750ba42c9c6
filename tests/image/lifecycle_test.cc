// Tests of lifecycle policies: what they ask for, and that exactly this is done, also when a run is cut off.
#include "image/lifecycle.h"

#include <set>

#include "catalog/records.h"
#include "catalog/volumes.h"
#include "image/deletion.h"
#include "image/register.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

using Kind = LifecycleAction::Kind;

constexpr std::uint64_t kDay = std::uint64_t{24} * 3600 * 1'000'000'000;
constexpr AccountId kOwner{1};

class Lifecycle : public testing::Test {
 protected:
  void SetUp() override {
    make_root(files_);
    for (const std::uint64_t number : {1, 2, 3, 4})
      ASSERT_TRUE(publish_snapshot(objects_, sample_record(number)).ok());
  }

  // Publishes an image of snapshot `number`, made on day `day` in the given group, and returns its id.
  ImageId image(std::uint64_t number, std::uint64_t day, const std::string& group = "web") {
    ImageRecord record;
    record.id = ImageId{100 + images_.list_ids().take().size()};
    record.owner = kOwner;
    record.name = "image-" + record.id.text();
    record.created = UtcTime{day * kDay};
    record.root_device = "/dev/sda";
    record.devices.resize(1);
    record.devices[0].name = "/dev/sda";
    record.devices[0].content.snapshot = sample_record(number).id;
    record.tags["group"] = group;
    EXPECT_TRUE(fill_contents(snapshots_, record).ok());
    const Status made = images_.publish(record);
    EXPECT_TRUE(made.ok()) << made.error().text();
    return record.id;
  }

  static LifecyclePolicy policy(std::optional<Retention> deprecate, std::optional<Retention> deregister,
                                bool delete_snapshots = false, const std::string& name = "p") {
    LifecyclePolicy made;
    made.name = name;
    made.owner = kOwner;
    made.id = lifecycle_policy_id(kOwner, name);
    made.filters = {"name=tag:group,values=web"};
    made.deprecate = deprecate;
    made.deregister = deregister;
    made.delete_snapshots = delete_snapshots;
    return made;
  }

  // Returns the planned actions as text: "deprecate 102", "delete 1", …
  std::vector<std::string> plan(const std::vector<LifecyclePolicy>& policies, std::uint64_t day) {
    std::vector<std::string> words;
    const LifecyclePlan planned = plan_lifecycle(objects_, policies, UtcTime{day * kDay}).take();
    for (const LifecycleAction& action : planned.actions) {
      const bool deletes = action.kind == Kind::kDeleteSnapshot;
      words.push_back(fmt::format("{} {}", lifecycle_action_name(action.kind),
                                  deletes ? action.snapshot.value : action.image.value));
    }
    return words;
  }
  std::string deletion_of(std::uint64_t number) {
    return fmt::format("delete {}", sample_record(number).id.value);
  }

  std::vector<std::string> run(const std::vector<LifecyclePolicy>& policies, std::uint64_t day) {
    std::vector<std::string> failed;
    const UtcTime now{day * kDay};
    const auto report = [&](const LifecycleAction&, const Status& done) {
      if (!done.ok()) failed.push_back(done.error().text());
    };
    const auto planned = plan_lifecycle(objects_, policies, now).take();
    EXPECT_TRUE(execute_lifecycle(objects_, planned, now, report).ok());
    return failed;
  }

  ImageState state(ImageId id) { return images_.get(id).take().state; }
  bool is_there(std::uint64_t number) { return snapshots_.get(sample_record(number).id).ok(); }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog snapshots_{objects_};
  ImageCatalog images_{objects_};
};

using Words = std::vector<std::string>;

TEST_F(Lifecycle, TheNewestOfThePolicysImagesAreKept) {
  const ImageId first = image(1, 10);
  const ImageId second = image(2, 20);
  image(3, 30);
  image(4, 5, "db");
  EXPECT_EQ(plan({policy(Retention{1, 0}, Retention{2, 0})}, 40), (Words{"deprecate 101", "deregister 100"}));
  EXPECT_EQ(run({policy(Retention{1, 0}, Retention{2, 0})}, 40), Words{});
  EXPECT_EQ(state(first), ImageState::kDeregistered);
  EXPECT_EQ(images_.get(second).take().deprecated, UtcTime{40 * kDay});
  EXPECT_TRUE(is_there(1));
  EXPECT_EQ(plan({policy(Retention{1, 0}, Retention{2, 0})}, 41), Words{});
  EXPECT_EQ(plan({policy({}, Retention{3, 0})}, 41), Words{});
}

TEST_F(Lifecycle, AnAgeCounts) {
  image(1, 10);
  image(2, 20);
  EXPECT_EQ(plan({policy({}, Retention{0, 20})}, 29), Words{});
  EXPECT_EQ(plan({policy({}, Retention{0, 20})}, 30), Words{"deregister 100"});
  EXPECT_EQ(plan({policy({}, Retention{0, 20})}, 40), (Words{"deregister 100", "deregister 101"}));
  EXPECT_EQ(plan({policy({}, Retention{1, 20})}, 40), Words{"deregister 100"}) << "both are asked for";
  const auto early = plan_lifecycle(objects_, {policy({}, Retention{0, 1})}, UtcTime{15 * kDay});
  ASSERT_FALSE(early.ok()) << "an image of the future: the clock is wrong";
  EXPECT_EQ(early.error().code(), ErrorCode::kInvalid);
}

TEST_F(Lifecycle, OfTwoPoliciesTheStrongerOneWins) {
  image(1, 10);
  const LifecyclePolicy mild = policy(Retention{0, 1}, {}, false, "mild");
  const LifecyclePolicy strong = policy({}, Retention{0, 1}, false, "strong");
  EXPECT_EQ(plan({mild, strong}, 40), Words{"deregister 100"});
  EXPECT_EQ(plan({strong, mild}, 40), Words{"deregister 100"});
}

TEST_F(Lifecycle, SnapshotsThatOthersNeedStay) {
  image(1, 10);
  image(2, 11);
  image(2, 12, "db");  // the policy does not match it
  image(3, 13);
  VolumeRecord volume;
  volume.id = VolumeId{1};
  volume.size = sample_record(3).size;
  volume.base = sample_record(3).id;
  ASSERT_TRUE(VolumeCatalog(objects_).publish(volume).ok());
  const LifecyclePolicy all = policy({}, Retention{0, 1}, true);
  EXPECT_EQ(plan({all}, 40), (Words{"deregister 100", "deregister 101", "deregister 103", deletion_of(1)}));
  EXPECT_EQ(run({all}, 40), Words{});
  EXPECT_FALSE(is_there(1));
  EXPECT_TRUE(is_there(2) && is_there(3) && is_there(4));
}

TEST_F(Lifecycle, APolicyThatKeepsSnapshotsIsNotOverruled) {
  image(1, 10);
  image(1, 11);
  LifecyclePolicy deletes = policy({}, Retention{1, 0}, true, "deletes");
  LifecyclePolicy keeps = policy({}, Retention{0, 1}, false, "keeps");
  // The policy "deletes" retires the older image and "keeps" the newer one; both images use one snapshot, so
  // it stays.
  EXPECT_EQ(plan({deletes, keeps}, 40), (Words{"deregister 100", "deregister 101"}));
}

TEST_F(Lifecycle, WhatWasChangedSinceThePlanIsLeftAlone) {
  const ImageId id = image(1, 10);
  const auto planned = plan_lifecycle(objects_, {policy({}, Retention{0, 1})}, UtcTime{40 * kDay}).take();
  ASSERT_TRUE(images_
                  .update(id,
                          [](ImageRecord& record) -> Status {
                            record.tags["group"] = "keep";
                            return {};
                          })
                  .ok());
  std::vector<ErrorCode> failed;
  const auto report = [&](const LifecycleAction&, const Status& done) {
    if (!done.ok()) failed.push_back(done.error().code());
  };
  ASSERT_TRUE(execute_lifecycle(objects_, planned, UtcTime{40 * kDay}, report).ok());
  EXPECT_EQ(failed, std::vector{ErrorCode::kBusy});
  EXPECT_EQ(state(id), ImageState::kAvailable);
}

TEST_F(Lifecycle, ATimeOfDeprecationThatSomebodySetStays) {
  const ImageId id = image(1, 10);
  const UtcTime chosen{90 * kDay};
  ASSERT_TRUE(images_
                  .update(id,
                          [&](ImageRecord& record) -> Status {
                            record.deprecated = chosen;
                            return {};
                          })
                  .ok());
  EXPECT_EQ(plan({policy(Retention{0, 1}, {})}, 40), Words{});
}

// A run that was cut off after any of its actions is completed by the next one. What a user takes back from
// the bin, in between or afterwards, stays.
TEST_F(Lifecycle, WhatWasCutOffIsTakenUpAndWhatCameBackStays) {
  struct CutOff {};
  const std::vector<ImageId> ids = {image(1, 10), image(2, 11), image(3, 12)};
  const LifecyclePolicy all = policy({}, Retention{0, 1}, true);
  const auto planned = plan_lifecycle(objects_, {all}, UtcTime{40 * kDay}).take();
  ASSERT_EQ(planned.actions.size(), 6U);
  for (std::size_t lives = 0; lives < planned.actions.size(); ++lives) {
    SCOPED_TRACE(lives);
    std::size_t left = lives;
    const auto dies = [&](const LifecycleAction&, const Status& done) {
      EXPECT_TRUE(done.ok());
      if (left-- == 0) throw CutOff();
    };
    const auto again = plan_lifecycle(objects_, {all}, UtcTime{40 * kDay}).take();
    ASSERT_EQ(again.actions.size(), planned.actions.size());
    EXPECT_THROW((void)execute_lifecycle(objects_, again, UtcTime{40 * kDay}, dies).ok(), CutOff);
    std::set<std::uint64_t> back;
    for (const std::uint64_t number : {1, 2, 3}) {
      if (!is_there(number)) {
        back.insert(number);
        ASSERT_TRUE(restore_snapshot(objects_, sample_record(number).id).ok());
      }
    }
    // Snapshots are deleted together, and their images finished before the first of them is reported.
    EXPECT_EQ(back.size(), lives < 3 ? 0U : 3U);
    EXPECT_EQ(run({all}, 41), Words{});
    for (const std::uint64_t number : {1, 2, 3}) EXPECT_EQ(is_there(number), back.contains(number)) << number;
    for (const ImageId id : ids) {
      EXPECT_EQ(state(id), ImageState::kDeregistered);
      EXPECT_EQ(images_.get(id).take().state_reason, "by lifecycle policy p");
    }
    for (const std::uint64_t number : {1, 2, 3}) {
      if (is_there(number)) continue;
      ASSERT_TRUE(restore_snapshot(objects_, sample_record(number).id).ok());
    }
    EXPECT_EQ(plan({all}, 42), Words{}) << "somebody wanted them back";
    for (const ImageId id : ids) {
      ASSERT_TRUE(restore_image(objects_, id).ok());
      EXPECT_EQ(images_.get(id).take().state_reason, "");
    }
  }
}

TEST_F(Lifecycle, SnapshotsOfAnImageThatSomebodyElseRetiredStay) {
  const ImageId id = image(1, 10);
  const LifecyclePolicy all = policy({}, Retention{0, 1}, true);
  const auto planned = plan_lifecycle(objects_, {all}, UtcTime{40 * kDay}).take();
  ASSERT_EQ(planned.actions.size(), 2U);
  ASSERT_TRUE(images_.update(id, [](ImageRecord& now) { return deregister(now, UtcTime{1}); }).ok());
  std::vector<ErrorCode> failed;
  const auto report = [&](const LifecycleAction&, const Status& done) {
    if (!done.ok()) failed.push_back(done.error().code());
  };
  ASSERT_TRUE(execute_lifecycle(objects_, planned, UtcTime{40 * kDay}, report).ok());
  EXPECT_EQ(failed, std::vector(2, ErrorCode::kBusy));
  EXPECT_TRUE(is_there(1));
}

TEST_F(Lifecycle, APolicyThatBeginsToDeleteSnapshotsTakesNoOldOnes) {
  image(1, 10);
  const auto planned = plan_lifecycle(objects_, {policy({}, Retention{0, 1})}, UtcTime{40 * kDay}).take();
  struct CutOff {};
  const auto dies = [](const LifecycleAction&, const Status&) { throw CutOff(); };
  EXPECT_THROW((void)execute_lifecycle(objects_, planned, UtcTime{40 * kDay}, dies).ok(), CutOff);
  EXPECT_EQ(plan({policy({}, Retention{0, 1}, true)}, 41), Words{});
  EXPECT_TRUE(is_there(1));
}

// A damaged record is named and left out; a snapshot that stands in it stays.
TEST_F(Lifecycle, ADamagedRecordIsNamedAndKeepsTheSnapshotsThatItNames) {
  image(1, 10);
  image(2, 11);
  const std::string text = R"({"snapshot": ")" + sample_record(2).id.text() + "\"}";
  ASSERT_TRUE(objects_.put_if_absent("images/" + ImageId{7}.text(), as_byte_span(text)).ok());
  const auto got = plan_lifecycle(objects_, {policy({}, Retention{0, 1}, true)}, UtcTime{40 * kDay}).take();
  ASSERT_EQ(got.damaged.size(), 1U);
  EXPECT_NE(got.damaged[0].find(ImageId{7}.text()), std::string::npos);
  std::vector<SnapshotId> deleted;
  for (const LifecycleAction& action : got.actions) {
    if (action.kind == LifecycleAction::Kind::kDeleteSnapshot) deleted.push_back(action.snapshot);
  }
  EXPECT_EQ(deleted, std::vector{sample_record(1).id});
}

TEST_F(Lifecycle, AFilterThatMakesNoSenseIsRefused) {
  LifecyclePolicy wrong = policy({}, Retention{0, 1});
  wrong.filters = {"colour=red"};
  EXPECT_FALSE(plan_lifecycle(objects_, {wrong}, UtcTime{40 * kDay}).ok());
}

}  // namespace
}  // namespace ashlar
