// Tests of the actions on machines. Machines that really run are in tests/system/launch_test.py.
#include "action/instances.h"

#include <csignal>
#include <thread>

#include "action/create_image.h"
#include "action/host_world.h"
#include "action/volumes.h"
#include "catalog/images.h"
#include "host/served_volumes.h"
#include "image/register.h"
#include "machine/command_line.h"
#include "process/background_process.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

class InstanceActions : public HostWorld {
 protected:
  ImageRecord image(const std::function<void(ImageRecord&)>& change = [](ImageRecord&) {}) {
    ImageRecord wanted;
    wanted.store = host_->repo().config().id;
    wanted.owner = own_.account;
    wanted.name = "web-" + std::to_string(++images_made_);
    wanted.root_device = "/dev/sda";
    ImageDevice& device = wanted.devices.emplace_back();
    device.name = "/dev/sda";
    device.content.snapshot = snapshot_;
    change(wanted);
    ImageCatalog images(host_->repo().objects());
    return register_image(images, host_->repo().snapshots(), wanted).take();
  }
  RunInstancesRequest request_of(ImageId id) {
    RunInstancesRequest request;
    request.source = id;
    return request;
  }
  VolumeId volume() { return create_volume(*host_, own_, {snapshot_, {}, "", {}}).take().id; }
  bool left_nothing() {
    return instances().list().take().empty() && describe_volumes(host_->repo(), own_).take().records.empty();
  }
  int images_made_ = 0;
};

TEST_F(InstanceActions, AMachineThatDoesNotStartLeavesNothing) {
  const auto ran = run_instances(*host_, own_, request_of(image().id));
  ASSERT_FALSE(ran.ok());
  EXPECT_NE(ran.error().text().find("the server did not start"), std::string::npos) << ran.error().text();
  EXPECT_TRUE(left_nothing());
}

TEST_F(InstanceActions, AnImageOfAnotherAccountDoesNotExist) {
  const ImageRecord hidden = image();
  Caller other{AccountId{123456789012}, notices_, {}};
  const auto ran = run_instances(*host_, other, request_of(hidden.id));
  ASSERT_FALSE(ran.ok());
  EXPECT_EQ(ran.error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ran.error().kind(), ErrorKind::kNoSuchImage);
  EXPECT_TRUE(is(run_instances(*host_, own_, request_of(ImageId{1})), ErrorCode::kNotFound));
  EXPECT_TRUE(left_nothing());
}

TEST_F(InstanceActions, ImagesThatCannotRunHereAreRefused) {
  const auto arm = image([](ImageRecord& record) { record.architecture = Architecture::kArm64; });
  EXPECT_TRUE(is(run_instances(*host_, own_, request_of(arm.id)), ErrorCode::kUnsupported));
  const auto uefi = image([](ImageRecord& record) { record.boot_mode = BootMode::kUefi; });
  EXPECT_TRUE(is(run_instances(*host_, own_, request_of(uefi.id)), ErrorCode::kUnsupported));
  EXPECT_TRUE(left_nothing());
}

TEST_F(InstanceActions, BadRequestsAreRefused) {
  RunInstancesRequest of_image = request_of(image().id);
  of_image.size = ByteCount{kBytes};
  EXPECT_TRUE(is(run_instances(*host_, own_, of_image), ErrorCode::kInvalid));
  RunInstancesRequest of_snapshot;
  of_snapshot.source = snapshot_;
  of_snapshot.mappings = {parse_mapping("/dev/sda=,size=1M").take()};
  EXPECT_TRUE(is(run_instances(*host_, own_, of_snapshot), ErrorCode::kInvalid));
  of_snapshot.mappings.clear();
  of_snapshot.size = ByteCount{4096};
  EXPECT_TRUE(is(run_instances(*host_, own_, of_snapshot), ErrorCode::kInvalid))
      << "smaller than the snapshot";
  of_snapshot.source = SnapshotId{1};
  EXPECT_TRUE(is(run_instances(*host_, own_, of_snapshot), ErrorCode::kNotFound));
  EXPECT_TRUE(left_nothing());
}

TEST_F(InstanceActions, ADeprecatedImageIsLaunchedWithAWarning) {
  ImageRecord record = image();
  ImageRecord deprecated = record;
  deprecated.deprecated = UtcTime{1};
  ++deprecated.revision;
  ImageCatalog(host_->repo().objects()).replace(record, deprecated).take();
  EXPECT_FALSE(run_instances(*host_, own_, request_of(record.id)).ok());
  ASSERT_FALSE(notices_.warnings.empty());
  EXPECT_NE(notices_.warnings[0].find("is deprecated"), std::string::npos);
}

TEST_F(InstanceActions, DescribeListsTheOldestFirstAndNamesDamage) {
  const InstanceRecord first = machine_on(volume());
  InstanceRecord second = machine_on(volume());
  second.created = UtcTime{first.created.unix_ns + 1};
  instances().save(second).take();
  const InstanceRecord damaged = machine_on(volume());
  std::ofstream(instances().directory(damaged.id) + "/instance.json", std::ios::app) << "x";
  const InstanceList listing = describe_instances(*host_, own_).take();
  ASSERT_EQ(listing.instances.size(), 2U);
  EXPECT_EQ(listing.instances[0].record.id, first.id);
  EXPECT_EQ(listing.instances[0].state, InstanceState::kStopped);
  EXPECT_EQ(listing.instances[1].record.id, second.id);
  EXPECT_EQ(listing.unread.size(), 1U);
  EXPECT_EQ(describe_instances(*host_, own_, {second.id}).take()[0].directory,
            instances().directory(second.id));
  EXPECT_EQ(describe_instances(*host_, own_, {InstanceId{1}}).error().kind(), ErrorKind::kNoSuchInstance);
}

TEST_F(InstanceActions, OneThatFailsDoesNotKeepTheOthers) {
  const InstanceRecord there = machine_on(volume());
  const InstanceChanges stopped =
      stop_instances(*host_, own_, {{InstanceId{1}, there.id, InstanceId{2}}, true, 0});
  ASSERT_EQ(stopped.changes.size(), 1U);
  EXPECT_EQ(stopped.changes[0].id, there.id);
  EXPECT_EQ(stopped.changes[0].now, InstanceState::kStopped);
  ASSERT_FALSE(stopped.failure.ok());
  EXPECT_NE(stopped.failure.error().text().find(InstanceId{1}.text()), std::string::npos);
  ASSERT_EQ(notices_.warnings.size(), 1U);
  EXPECT_NE(notices_.warnings[0].find(InstanceId{2}.text()), std::string::npos);
}

TEST_F(InstanceActions, StartNeedsAServer) {
  const InstanceRecord machine = machine_on(volume());
  const InstanceChanges started = start_instances(*host_, own_, {machine.id});
  EXPECT_TRUE(started.changes.empty());
  EXPECT_FALSE(started.failure.ok());
}

TEST_F(InstanceActions, TerminateRemovesTheMachineAndNamesTheVolumesThatStay) {
  const VolumeId kept = volume();
  const VolumeId lost = volume();
  InstanceRecord machine = machine_on(lost);
  machine.devices.push_back({"/dev/sdb", kept, false, {}});
  instances().save(machine).take();
  const InstanceChanges ended = terminate_instances(*host_, own_, {machine.id});
  EXPECT_TRUE(ended.failure.ok());
  ASSERT_EQ(ended.changes.size(), 1U);
  EXPECT_EQ(ended.changes[0].now, InstanceState::kTerminated);
  const auto left = describe_volumes(host_->repo(), own_).take().records;
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].id, kept);
  ASSERT_EQ(notices_.notes.size(), 1U);
  EXPECT_NE(notices_.notes[0].find(kept.text()), std::string::npos);
}

TEST_F(InstanceActions, AnImageOfAStoppedMachineHasSnapshotsOfItsVolumes) {
  const VolumeId disk = volume();
  const InstanceRecord machine = machine_on(disk);
  CreateImageRequest request;
  request.instance = machine.id;
  request.name = "golden";
  request.tags = {{"a", "b"}};
  const ImageRecord made = create_image(*host_, own_, request).take();
  EXPECT_EQ(made.state, ImageState::kAvailable);
  EXPECT_EQ(made.owner, own_.account);
  EXPECT_EQ(made.source_instance, machine.id);
  EXPECT_EQ(made.consistency, ImageConsistency::kStopped);
  ASSERT_EQ(made.devices.size(), 1U);
  const SnapshotRecord snapshot = host_->repo().snapshots().get(made.devices[0].content.snapshot).take();
  EXPECT_EQ(made.devices[0].content.digest, snapshot.content);
  EXPECT_TRUE(is(create_image(*host_, own_, request), ErrorCode::kBusy)) << "the name is taken";
}

TEST_F(InstanceActions, AGuestThatEndsWhileItsImageIsMadeWithoutARebootStaysOff) {
  const VolumeId disk = volume();
  ServedVolumes serving(host_->repo(), host_->volumes(), notices_, {}, {});
  serving.serve_all().take();
  serving.listening_on("nbd+unix:///?socket=/run/x").take();
  const WaitingChild guest =
      WaitingChild::fork({{"/bin/true"}, scratch_.path(), scratch_ / "guest.log"}).take();
  InstanceRecord machine = machine_on(disk);
  machine.process = guest.process();
  machine.wish = InstanceWish::kRunning;
  instances().save(machine).take();
  std::ofstream(instances().directory(machine.id) + "/" + kQmpSocketName) << "";
  ASSERT_EQ(instances().state_of(machine).take(), InstanceState::kRunning);
  // The guest ends as soon as its image is pending.
  ObjectStore& objects = host_->repo().objects();
  const std::size_t images = ImageCatalog(objects).list_ids().take().size();
  std::jthread ending([&](const std::stop_token& stop) {
    while (ImageCatalog(objects).list_ids().take().size() == images && !stop.stop_requested())
      std::this_thread::yield();
    RunningProcess process = RunningProcess::find(guest.process()).take();
    process.signal(SIGKILL).take();
    EXPECT_TRUE(process.wait(20));
  });
  CreateImageRequest request;
  request.instance = machine.id;
  request.name = "golden";
  request.reboot = false;
  const auto made = create_image(*host_, own_, request);
  ending.join();
  ASSERT_TRUE(made.ok()) << made.error().text();
  EXPECT_EQ(made.value().consistency, ImageConsistency::kCrashConsistent);
  const InstanceRecord after = instances().load(machine.id).take();
  EXPECT_EQ(after, machine) << "it is not started";
  EXPECT_EQ(instances().state_of(after).take(), InstanceState::kStopped);
  serving.close_all().take();
}

TEST_F(InstanceActions, AnImageHasTheKernelOfTheMachinesDirectory) {
  InstanceRecord machine = machine_on(volume());
  machine.kernel = kKernelName;
  instances().save(machine).take();
  CreateImageRequest request;
  request.instance = machine.id;
  request.name = "golden";
  EXPECT_TRUE(is(create_image(*host_, own_, request), ErrorCode::kNotFound)) << "the file is missing";
  std::ofstream(instances().directory(machine.id) + "/kernel") << std::string(5000, 'k');
  const ImageRecord made = create_image(*host_, own_, request).take();
  ASSERT_TRUE(made.boot.kernel);
  EXPECT_EQ(host_->repo().snapshots().get(made.boot.kernel->snapshot).take().size.value, 5000U);
}

TEST_F(InstanceActions, AnImageThatFailsItsCheckIsNotMade) {
  CreateImageRequest request;
  request.instance = machine_on(volume()).id;
  request.name = "golden";
  request.must_be_clean = true;  // a disk without a file system that is known can't be told to be clean
  const std::size_t before = host_->repo().snapshots().list_ids().take().size();
  const auto refused = create_image(*host_, own_, request);
  ASSERT_TRUE(is(refused, ErrorCode::kInvalid)) << refused.error().text();
  EXPECT_EQ(host_->repo().snapshots().list_ids().take().size(), before + 1) << "its snapshots stay";
  EXPECT_TRUE(ImageCatalog(host_->repo().objects()).list().take().empty());
  request.must_be_clean = false;
  EXPECT_TRUE(create_image(*host_, own_, request).ok()) << "the name is free";
}

TEST_F(InstanceActions, AnImageOfAFileOrADetachedVolumeIsRefused) {
  InstanceRecord machine = machine_on(volume());
  machine.devices = {{"/dev/sda", {}, true, "disk-sda.raw"}};
  instances().save(machine).take();
  CreateImageRequest request;
  request.instance = machine.id;
  request.name = "golden";
  EXPECT_TRUE(is(create_image(*host_, own_, request), ErrorCode::kUnsupported));
  request.instance = InstanceId{1};
  EXPECT_TRUE(is(create_image(*host_, own_, request), ErrorCode::kNotFound));
}

}  // namespace
}  // namespace ashlar
