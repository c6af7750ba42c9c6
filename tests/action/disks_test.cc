// Shows disks of other programs and of this host on their way into the store and out of it. Raw disks only:
// other formats need QEMU and are covered by system.disk_formats.
#include "action/disks.h"

#include "action/action_world.h"
#include "action/snapshots.h"
#include "catalog/images.h"

namespace ashlar {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kBytes = std::size_t{1} << 20U;

class Disks : public ActionWorld {
 protected:
  Result<CaptureReport> import_raw(const std::string& path) {
    return import_disk(repo(), owner(), {path, DiskFormat::kRaw, "web", "", {{"a", "b"}}});
  }
  CaptureImage two_disks() {
    CaptureImage request;
    request.name = "db-host";
    request.disks = {{"/dev/sdb", file("second", kBytes, 2)}, {"/dev/sda", file("first", kBytes)}};
    return request;
  }
};

TEST_F(Disks, ARawDiskIsImported) {
  const std::string disk = file("disk.raw", kBytes);
  const auto first = import_raw(disk);
  ASSERT_OK(first);
  EXPECT_EQ(first.value().record.name, "web");
  EXPECT_EQ(first.value().record.size.value, kBytes);
  EXPECT_EQ(import_raw(disk).take().record.parent, first.value().record.id);
}

TEST_F(Disks, OnlyRegularFilesAreImported) {
  EXPECT_EQ(code_of(import_raw(directory_.path())), ErrorCode::kInvalid);
  EXPECT_EQ(kind_of(import_raw("/dev/null")), ErrorKind::kNotADiskFile);
  EXPECT_EQ(code_of(import_raw(directory_ / "missing")), ErrorCode::kNotFound);
  const auto damaged =
      import_disk(repo(), owner(), {file("disk.qcow2", 65536), DiskFormat::kQcow2, "", "", {}});
  EXPECT_FALSE(damaged.ok());
  EXPECT_THAT(describe_snapshots(repo(), owner()).take().records, IsEmpty());
}

TEST_F(Disks, AnExportNeedsANewNameOutsideTheStore) {
  const SnapshotId id = import_raw(file("disk.raw", kBytes)).take().record.id;
  const std::string taken = file("taken.raw", 10);
  const auto exported = export_snapshot(repo(), owner(), {id, taken, DiskFormat::kRaw});
  EXPECT_EQ(kind_of(exported), ErrorKind::kTargetExists);
  EXPECT_EQ(content_of(taken).size(), 10U);
  EXPECT_THAT(text_of(export_snapshot(repo(), owner(), {id, store_path() + "/x.raw", DiskFormat::kRaw})),
              HasSubstr("lies in the store"));
  const std::string target = directory_ / "target";
  EXPECT_EQ(code_of(export_snapshot(repo(), owner(), {id, target, DiskFormat::kVhdx})), ErrorCode::kInvalid);
  EXPECT_EQ(kind_of(export_snapshot(repo(), owner(), {SnapshotId{9}, target, DiskFormat::kRaw})),
            ErrorKind::kNoSuchSnapshot);
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(Disks, AnEmptySnapshotIsNoDisk) {
  const SnapshotId id = import_raw(file("empty.raw", 0)).take().record.id;
  EXPECT_THAT(text_of(export_snapshot(repo(), owner(), {id, directory_ / "target", DiskFormat::kRaw})),
              HasSubstr("is empty"));
}

TEST_F(Disks, DisksOfAHostBecomeAnImageOfTheAccount) {
  const auto made = capture_image(repo(), other(), two_disks());
  ASSERT_OK(made);
  const ImageRecord& image = made.value();
  EXPECT_EQ(image.owner, other().account);
  EXPECT_EQ(image.state, ImageState::kAvailable);
  EXPECT_EQ(image.consistency, ImageConsistency::kStopped);
  EXPECT_EQ(image.root_device, "/dev/sdb") << "the first that was named";
  ASSERT_THAT(image.devices, SizeIs(2));
  EXPECT_EQ(image.devices.front().name, "/dev/sda");
  EXPECT_EQ(describe_snapshot(repo(), owner(), image.devices.front().content.snapshot).take().name,
            "db-host /dev/sda");
}

TEST_F(Disks, AnImageThatFailsIsTakenBack) {
  CaptureImage request = two_disks();
  stop_.request_stop();
  EXPECT_EQ(code_of(capture_image(repo(), owner(), request)), ErrorCode::kCancelled);
  EXPECT_THAT(ImageCatalog(repo().objects()).list_ids().take(), IsEmpty());
  EXPECT_THAT(describe_snapshots(repo(), owner()).take().records, IsEmpty());
}

TEST_F(Disks, BadRequestsForImagesAreRefused) {
  CaptureImage request = two_disks();
  request.name = "no";
  EXPECT_EQ(code_of(check_request(request)), ErrorCode::kInvalid);
  request = two_disks();
  request.disks.front().source = "-";
  EXPECT_EQ(code_of(check_request(request)), ErrorCode::kInvalid);
  request = two_disks();
  request.disks.back().device = request.disks.front().device;
  EXPECT_EQ(code_of(check_request(request)), ErrorCode::kInvalid);
  request = two_disks();
  request.live = true;
  request.freeze = {"/"};
  EXPECT_EQ(code_of(capture_image(repo(), owner(), request)), ErrorCode::kInvalid);
  request = two_disks();
  request.disks.clear();
  EXPECT_EQ(code_of(capture_image(repo(), owner(), request)), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace ashlar
