// Tests of volumes on a simulated disk: an operation that fails at any step leaves the volume as it was, or
// as it was to be.
#include "host/volumes.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

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
  EXPECT_FALSE(read_incarnation(rig.files, directory).take()->is_open);
  EXPECT_EQ(begin_life(rig.files, directory).take(), 1U);
  EXPECT_TRUE(read_incarnation(rig.files, directory).take()->is_open);
  EXPECT_EQ(begin_life(rig.files, directory).take(), 2U);
  end_life(rig.files, directory, 2).take();
  EXPECT_FALSE(read_incarnation(rig.files, directory).take()->is_open);
  EXPECT_EQ(begin_life(rig.files, directory).take(), 2U);
}

TEST(Incarnation, AFileOfAnotherFormIsDamage) {
  HostRig rig;
  const VolumeId id = rig.volumes->create(spec_of(rig.snapshot)).take().id;
  const std::string directory = rig.volumes->overlay_directory(id);
  for (const char* text :
       {"", "open\n", "3", "3\n", "3 open", "3 closed 1 2 3\n", "3 closed 1 2 3 4", "3 closed 1 2 3 4 5\n",
        "3 closed -1 2 3 4\n", "1234567890123456789 open\n", "3 shut\n"}) {
    EXPECT_TRUE(remove_incarnation(rig.files, directory).ok());
    rig.files.create(directory + "/incarnation").take()->append(as_byte_span(text)).take();
    EXPECT_EQ(begin_life(rig.files, directory).error().code(), ErrorCode::kCorrupt) << text;
  }
}

// When one of the two files is from another moment than the note, the overlay is not as it was closed.
TEST(Incarnation, TheStampsTellAWholeCopy) {
  namespace fs = std::filesystem;
  const TemporaryDirectory scratch;
  FileSystem& files = posix_file_system();
  const std::string ours = scratch / "ours";
  const std::string copy = scratch / "copy";
  fs::create_directory(ours);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(ours + "/" + name, std::ios::trunc) << text;
  };
  const auto copied = [&](const std::string& name) {
    fs::create_directories(copy);
    fs::copy_file(ours + "/" + name, copy + "/" + name, fs::copy_options::overwrite_existing);
    const auto stamp = fs::last_write_time(ours + "/" + name);
    fs::last_write_time(copy + "/" + name, stamp);
  };
  write("data", "one");
  write("map", "one");
  end_life(files, ours, 1).take();
  EXPECT_TRUE(is_as_closed(files, ours));
  for (const char* name : {"data", "map", "incarnation"}) copied(name);
  EXPECT_TRUE(is_as_closed(files, copy));

  for (const std::string early : {"data", "map", "incarnation"}) {
    begin_life(files, ours).take();
    EXPECT_FALSE(is_as_closed(files, ours));
    copied(early);
    write("data", "two");  // as long as before
    write("map", "two");
    end_life(files, ours, 1).take();
    for (const std::string name : {"data", "map", "incarnation"}) {
      if (name != early) copied(name);
    }
    EXPECT_FALSE(is_as_closed(files, copy)) << early;
    EXPECT_TRUE(is_as_closed(files, ours));
  }
}

TEST(Volumes, AVolumeWhoseBlocksAreElsewhereIsNotDeletedByTheWay) {
  HostRig rig;
  const VolumeId id = rig.volumes->create(spec_of(rig.snapshot)).take().id;
  const std::string overlays = rig.repo->host().overlays();
  rig.files.rename(overlays + "/" + id.text(), overlays + "/elsewhere").take();
  for (const Status& refused : {rig.volumes->remove(id), Status(rig.volumes->open(id).error())}) {
    ASSERT_TRUE(is(refused, ErrorCode::kInvalid));
    EXPECT_NE(refused.error().text().find("are not in " + overlays), std::string::npos);
  }
  EXPECT_TRUE(rig.volumes->catalog().get(id).ok());
  EXPECT_TRUE(rig.volumes->remove(id, BlocksElsewhere::kGiveUp).ok());
  EXPECT_TRUE(is(rig.volumes->catalog().get(id), ErrorCode::kNotFound));
}

}  // namespace
}  // namespace ashlar
