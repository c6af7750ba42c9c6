// Tests of volumes on a simulated disk: an operation that fails at any step leaves the volume as it was, or
// as it was to be.
#include "host/volumes.h"

#include <cerrno>

#include "host/host_rig.h"
#include "host/incarnation.h"

namespace ashlar {
namespace {

VolumeSpec spec_of(SnapshotId snapshot) { return {snapshot, {}, "data", {{"team", "web"}}, {}}; }

TEST(Volumes, AreCreatedReadResizedAndRemoved) {
  HostRig rig;
  const VolumeRecord record = rig.volumes->create(spec_of(rig.snapshot)).take();
  EXPECT_EQ(record.size.value, kRigBytes);
  EXPECT_EQ(rig.volumes->catalog().get(record.id).take(), record);
  EXPECT_TRUE(rig.volumes->has_overlay(record.id).take());
  EXPECT_EQ(rig.bytes_of(record.id), rig.image);

  auto overlay = rig.volumes->open_overlay(record.id).take();
  EXPECT_EQ(rig.volumes->resize(record.id, *overlay, ByteCount{4096}).error().code(), ErrorCode::kInvalid);
  rig.volumes->resize(record.id, *overlay, ByteCount{kRigBytes + 8192}).take();
  overlay->close().take();
  overlay.reset();
  EXPECT_EQ(rig.volumes->catalog().get(record.id).take().size.value, kRigBytes + 8192);

  rig.volumes->remove(record.id).take();
  EXPECT_EQ(rig.volumes->open(record.id).error().kind(), ErrorKind::kNoSuchVolume);
  EXPECT_FALSE(rig.volumes->has_overlay(record.id).take());
}

TEST(Volumes, AVolumeIsOpenOnce) {
  HostRig rig;
  const VolumeId id = rig.volumes->create(spec_of(rig.snapshot)).take().id;
  const auto first = rig.volumes->open(id).take();
  for (const Status& refused : {Status(rig.volumes->open(id).error()), rig.volumes->remove(id)}) {
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
    EXPECT_EQ(refused.error().kind(), ErrorKind::kVolumeServed);
    EXPECT_EQ(refused.error().id(), id.text());
  }
  first->overlay().close().take();
}

TEST(Volumes, ASmallerSizeOrAnUnknownSnapshotIsRefused) {
  HostRig rig;
  VolumeSpec spec = spec_of(rig.snapshot);
  spec.size = ByteCount{4096};
  EXPECT_EQ(rig.volumes->create(spec).error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(rig.volumes->create(spec_of(SnapshotId{1})).error().code(), ErrorCode::kNotFound);
  EXPECT_TRUE(rig.volumes->catalog().list().take().empty());
}

TEST(Volumes, DetachNeedsEveryBlock) {
  HostRig rig;
  const VolumeId id = rig.volumes->create(spec_of(rig.snapshot)).take().id;
  {
    const auto volume = rig.volumes->open(id).take();
    const auto early = rig.volumes->detach(id, volume->overlay());
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().kind(), ErrorKind::kVolumeNotWhole);
    EXPECT_FALSE(rig.volumes->catalog().get(id).take().is_detached);
    volume->fetch({Lba{}, blocks_covering(volume->size())}).take();
    EXPECT_EQ(rig.volumes->detach(id, volume->overlay()).take(),
              rig.volumes->overlay_directory(id) + "/data");
    volume->overlay().close().take();
  }
  EXPECT_TRUE(rig.volumes->catalog().get(id).take().is_detached);
  EXPECT_EQ(rig.bytes_of(id), rig.image);
}

// Lets each disk operation of `run` fail once, as many as it has, and calls `check` after each.
template <class Prepare, class Run, class Check>
void fail_everywhere(Prepare prepare, Run run, Check check) {
  for (std::uint64_t n = 0;; ++n) {
    HostRig rig;
    const VolumeId id = prepare(rig);
    const std::uint64_t first = rig.files.operations();
    rig.files.fail_operation(first + n, EIO);
    const bool done = run(rig, id);
    const bool was_last = rig.files.operations() <= first + n;
    rig.open();
    check(rig, id, done);
    if (testing::Test::HasFailure() || was_last) return;
  }
}

TEST(Volumes, ACreateThatFailsAnywhereLeavesNoBrokenVolume) {
  fail_everywhere(
      [](HostRig& /*rig*/) { return VolumeId{}; },
      [](HostRig& rig, VolumeId /*id*/) { return rig.volumes->create(spec_of(rig.snapshot)).ok(); },
      [](HostRig& rig, VolumeId /*id*/, bool done) {
        const auto records = rig.volumes->catalog().list().take();
        if (done) {
          EXPECT_EQ(records.size(), 1U);
        }
        for (const VolumeRecord& record : records)
          EXPECT_EQ(rig.bytes_of(record.id), rig.image) << "done: " << done;
      });
}

TEST(Volumes, ARemoveThatFailsAnywhereCanBeRepeated) {
  const auto create = [](HostRig& rig) { return rig.volumes->create(spec_of(rig.snapshot)).take().id; };
  fail_everywhere(
      create, [](HostRig& rig, VolumeId id) { return rig.volumes->remove(id).ok(); },
      [](HostRig& rig, VolumeId id, bool done) {
        const Status again = rig.volumes->remove(id);
        if (done) {
          EXPECT_TRUE(is(again, ErrorCode::kNotFound));
        } else {
          EXPECT_TRUE(again.ok() || is(again, ErrorCode::kNotFound)) << again.error().text();
        }
        EXPECT_TRUE(rig.volumes->catalog().list().take().empty());
      });
}

TEST(Volumes, ADetachThatFailsAnywhereKeepsTheData) {
  const auto prepare = [](HostRig& rig) {
    const VolumeId id = rig.volumes->create(spec_of(rig.snapshot)).take().id;
    const auto volume = rig.volumes->open(id).take();
    volume->fetch({Lba{}, blocks_covering(volume->size())}).take();
    volume->overlay().close().take();
    return id;
  };
  const auto detach = [](HostRig& rig, VolumeId id) {
    const auto overlay = rig.volumes->open_overlay(id);
    return overlay.ok() && rig.volumes->detach(id, *overlay.value()).ok() && overlay.value()->close().ok();
  };
  fail_everywhere(prepare, detach, [](HostRig& rig, VolumeId id, bool done) {
    if (done) {
      EXPECT_TRUE(rig.volumes->catalog().get(id).take().is_detached);
    }
    EXPECT_EQ(rig.bytes_of(id), rig.image);
  });
}

TEST(Incarnation, GrowsWhenAServerDied) {
  HostRig rig;
  const VolumeId id = rig.volumes->create(spec_of(rig.snapshot)).take().id;
  const std::string directory = rig.volumes->overlay_directory(id);
  EXPECT_FALSE(read_incarnation(rig.files, directory).take());
  EXPECT_EQ(begin_serving(rig.files, directory).take(), 1U);
  EXPECT_TRUE(read_incarnation(rig.files, directory).take()->is_served);
  EXPECT_EQ(begin_serving(rig.files, directory).take(), 2U);
  end_serving(rig.files, directory, 2).take();
  EXPECT_FALSE(read_incarnation(rig.files, directory).take()->is_served);
  EXPECT_EQ(begin_serving(rig.files, directory).take(), 2U);
  remove_incarnation(rig.files, directory);
  const auto file = rig.files.create(directory + "/incarnation").take();
  file->append(as_byte_span("serving")).take();
  EXPECT_EQ(begin_serving(rig.files, directory).error().code(), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ashlar
