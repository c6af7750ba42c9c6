// Tests of the actions on volumes.
#include "action/volumes.h"

#include "action/host_world.h"
#include "host/served_volumes.h"

namespace ashlar {
namespace {

class VolumeActions : public HostWorld {
 protected:
  VolumeId create() { return create_volume(*host_, own_, {snapshot_, {}, "data", {}}).take().id; }
};

TEST_F(VolumeActions, CreateNamesTheOwner) {
  const VolumeRecord own = create_volume(*host_, own_, {snapshot_, {}, "data", {{"a", "b"}}}).take();
  EXPECT_EQ(own.name, "data");
  EXPECT_EQ(own.size.value, kBytes);
  EXPECT_EQ(own.owner, AccountId{}) << "the store's own account";
  Caller other{AccountId{123456789012}, notices_, {}};
  EXPECT_EQ(create_volume(*host_, other, {snapshot_, {}, "", {}}).take().owner, AccountId{123456789012});
  EXPECT_EQ(describe_volumes(host_->repo(), other).take().records.size(), 2U);
}

TEST_F(VolumeActions, BadRequestsToCreateAreRefused) {
  EXPECT_TRUE(is(create_volume(*host_, own_, {SnapshotId{1}, {}, "", {}}), ErrorCode::kNotFound));
  EXPECT_TRUE(is(create_volume(*host_, own_, {snapshot_, ByteCount{4096}, "", {}}), ErrorCode::kInvalid));
  EXPECT_TRUE(
      is(create_volume(*host_, own_, {snapshot_, {}, std::string(100'000, 'x'), {}}), ErrorCode::kInvalid));
  EXPECT_TRUE(describe_volumes(host_->repo(), own_).take().records.empty());
}

TEST_F(VolumeActions, AServerThatRunsServesANewVolume) {
  ServedVolumes serving(host_->repo(), host_->volumes(), notices_, {}, {});
  serving.serve_all().take();
  serving.listening_on("nbd+unix:///?socket=/run/x").take();
  const VolumeId id = create();
  EXPECT_EQ(serving.names(), std::vector<std::string>{id.text()});
  EXPECT_TRUE(describe_volume(*host_, own_, id).take().state.served);
  EXPECT_EQ(locate_volume(*host_, own_, id).take().at.name, id.text() + "@1");
  delete_volume(*host_, own_, id).take();
  EXPECT_TRUE(serving.names().empty());
  serving.close_all().take();
}

TEST_F(VolumeActions, DescribeResizeHydrateSnapshotAndDetach) {
  const VolumeId id = create();
  EXPECT_EQ(describe_volume(*host_, own_, id).take().state.absent_bytes.value, kBytes);
  EXPECT_EQ(resize_volume(*host_, own_, id, ByteCount{kBytes + 4096}).take().size.value, kBytes + 4096);
  EXPECT_EQ(detach_from_store(*host_, own_, id).error().kind(), ErrorKind::kVolumeNotWhole);
  const CaptureReport report = snapshot_volume(*host_, own_, {id, "now", "", {}}).take();
  EXPECT_EQ(report.record.name, "now");
  EXPECT_EQ(hydrate_volume(*host_, own_, id, 0).take().absent_bytes.value, 0U);
  const std::string data = detach_from_store(*host_, own_, id).take();
  EXPECT_TRUE(std::filesystem::exists(data));
  EXPECT_TRUE(is(snapshot_volume(*host_, own_, {id, "", "", {}}), ErrorCode::kUnsupported));
}

TEST_F(VolumeActions, AClonesSnapshotStays) {
  const VolumeId id = create();
  const VolumeRecord clone = clone_volume(*host_, own_, {id, ByteCount{2 * kBytes}, "clone", {}}).take();
  EXPECT_EQ(clone.size.value, 2 * kBytes);
  EXPECT_NE(clone.base, snapshot_);
  EXPECT_EQ(host_->repo().snapshots().get(clone.base).take().description, "made to clone " + id.text());
}

TEST_F(VolumeActions, UnknownVolumesAreNotFound) {
  const VolumeId id{5};
  EXPECT_EQ(describe_volume(*host_, own_, id).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(resize_volume(*host_, own_, id, ByteCount{1}).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(delete_volume(*host_, own_, id).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(hydrate_volume(*host_, own_, id, 0).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(snapshot_volume(*host_, own_, {id, "", "", {}}).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(clone_volume(*host_, own_, {id, {}, "", {}}).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(detach_from_store(*host_, own_, id).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(locate_volume(*host_, own_, id).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_EQ(attach_volume(*host_, own_, id).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_FALSE(release_volume(*host_, own_, id).take());
}

TEST_F(VolumeActions, AVolumeOfAMachineIsNotDeleted) {
  const VolumeId id = create();
  const InstanceRecord machine = machine_on(id);
  const Status refused = delete_volume(*host_, own_, id);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kVolumeOfMachine);
  EXPECT_EQ(refused.error().id(), machine.id.text());
  instances().remove(machine.id).take();
  EXPECT_TRUE(delete_volume(*host_, own_, id).ok());
}

TEST_F(VolumeActions, AHeldVolumeIsNotDeletedOrAttached) {
  const VolumeId id = create();
  const HeldVolume held = host_->attachments().hold(id).take();
  EXPECT_TRUE(is(delete_volume(*host_, own_, id), ErrorCode::kBusy));
  EXPECT_TRUE(is(attach_volume(*host_, own_, id), ErrorCode::kBusy));
  EXPECT_TRUE(is(release_volume(*host_, own_, id), ErrorCode::kBusy));
}

TEST_F(VolumeActions, WithoutAServerTheAddressNamesItsCommand) {
  const VolumeId id = create();
  const VolumeAddress address = locate_volume(*host_, own_, id).take();
  EXPECT_EQ(address.server, std::vector<std::string>{"/bin/false"});
  EXPECT_EQ(address.at.name, id.text());
  EXPECT_EQ(address.at.socket, host_->server().socket());
}

}  // namespace
}  // namespace ashlar
