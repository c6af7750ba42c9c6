#include "quiesce/mounts.h"

#include <sys/stat.h>

#include "quiesce/mount_table.h"
#include "source/host_rig.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;

std::vector<MountUse> uses_of(const std::string& path) {
  Result<std::vector<MountUse>> uses = mounts_of(path);
  if (uses.ok()) return uses.take();
  ADD_FAILURE() << uses.error().text();
  return {};
}

TEST(MountTable, ReadsLinesOfMountinfo) {
  const Result<MountEntry> entry = parse_mount_line(
      "36 35 98:7 /sub /mnt/a\\040b ro,noatime shared:1 master:2 - ext4 /dev/disk\\134x rw,errors=continue");
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry.value().id, 36U);
  EXPECT_EQ(entry.value().mount_point, "/mnt/a b");
  EXPECT_EQ(entry.value().source, "/dev/disk\\x");
  EXPECT_TRUE(entry.value().read_write) << "the superblock is written, whatever this bind allows";
  for (const char* bad : {"", "36", "36 35 98 / /mnt rw - ext4 x rw", "36 35 98:0 / /mnt rw ext4 x rw",
                          "x 35 98:0 / /mnt rw - ext4 x rw", "36 35 98:0 / /mnt rw - ext4 x"}) {
    EXPECT_FALSE(parse_mount_line(bad).ok()) << bad;
  }
  EXPECT_FALSE(mount_table().take().empty());
}

TEST(MountsOf, AMountedLoopDeviceAndItsFile) {
  const TempDir dir;
  make_file(dir / "disk", 16 * kMiB);
  EXPECT_TRUE(uses_of(dir / "disk").empty());
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  ASSERT_TRUE(shell("mkfs.ext4 -q " + loop.path()));
  EXPECT_TRUE(uses_of(loop.path()).empty());
  for (const bool read_write : {false, true}) {
    const Mount mount(loop.path(), dir / "a mount", read_write ? "rw" : "ro");
    ASSERT_TRUE(mount.mounted());
    for (const std::string& path : {loop.path(), dir / "disk"}) {
      const std::vector<MountUse> uses = uses_of(path);
      ASSERT_EQ(uses.size(), 1U) << path;
      EXPECT_EQ(uses[0].mount_point, mount.path());
      EXPECT_EQ(uses[0].read_write, read_write) << path;
    }
  }
  EXPECT_TRUE(uses_of(dir / "disk").empty());
}

TEST(MountsOf, APartitionCountsForItsDiskAndNotForItsNeighbour) {
  if (!has_program("sfdisk")) GTEST_SKIP() << "needs sfdisk";
  const TempDir dir;
  make_file(dir / "disk", 64 * kMiB);
  ASSERT_TRUE(shell("printf 'label: gpt\\nsize=20M\\nsize=20M\\n' | sfdisk -q " + dir / "disk"));
  const LoopDevice loop(dir / "disk", "-P");
  NEEDS_LOOP(loop);
  const std::string first = loop.path() + "p1";
  const std::string second = loop.path() + "p2";
  if (!std::filesystem::exists(first)) GTEST_SKIP() << "no device nodes for partitions here";
  ASSERT_TRUE(shell("mkfs.ext4 -q " + first));
  const Mount mount(first, dir / "mnt");
  ASSERT_TRUE(mount.mounted());
  EXPECT_EQ(uses_of(first).size(), 1U);
  EXPECT_EQ(uses_of(loop.path()).size(), 1U);
  EXPECT_EQ(uses_of(dir / "disk").size(), 1U);
  EXPECT_TRUE(uses_of(second).empty());
}

TEST(MountsOf, ALoopDeviceOverALoopDevice) {
  const TempDir dir;
  make_file(dir / "disk", 16 * kMiB);
  const LoopDevice lower(dir / "disk");
  NEEDS_LOOP(lower);
  const LoopDevice upper(lower.path());
  NEEDS_LOOP(upper);
  ASSERT_TRUE(shell("mkfs.ext4 -q " + upper.path()));
  const Mount mount(upper.path(), dir / "mnt");
  ASSERT_TRUE(mount.mounted());
  EXPECT_EQ(uses_of(dir / "disk").size(), 1U);
  EXPECT_EQ(uses_of(lower.path()).size(), 1U);
}

// A file system mounted over a mount point is not the one that is mounted from the source.
TEST(MountsOf, TheSuperblockTellsAMountFromWhatCoversIt) {
  const TempDir dir;
  make_file(dir / "disk", 16 * kMiB);
  const LoopDevice loop(dir / "disk");
  NEEDS_LOOP(loop);
  ASSERT_TRUE(shell("mkfs.ext4 -q " + loop.path()));
  const Mount mount(loop.path(), dir / "mnt");
  ASSERT_TRUE(mount.mounted());
  EXPECT_EQ(uses_of(loop.path()).at(0).superblock, superblock_of(mount.path()).take());
  EXPECT_NE(uses_of(loop.path()).at(0).superblock, superblock_of(dir.path()).take());
  const Mount cover("none", mount.path(), "size=1M -t tmpfs");
  ASSERT_TRUE(cover.mounted());
  ASSERT_EQ(uses_of(loop.path()).size(), 1U);
  EXPECT_EQ(uses_of(loop.path())[0].mount_point, cover.path());
  EXPECT_NE(uses_of(loop.path())[0].superblock, superblock_of(cover.path()).take());
}

// btrfs mounts have a device number of their own, and one device name stands for all devices of the file
// system.
TEST(MountsOf, EveryDeviceOfABtrfs) {
  if (!has_program("mkfs.btrfs")) GTEST_SKIP() << "needs mkfs.btrfs";
  const TempDir dir;
  make_file(dir / "one", 256 * kMiB);
  make_file(dir / "two", 256 * kMiB);
  const LoopDevice one(dir / "one");
  const LoopDevice two(dir / "two");
  NEEDS_LOOP(one);
  NEEDS_LOOP(two);
  ASSERT_TRUE(shell("mkfs.btrfs -q -f -d raid1 -m raid1 " + one.path() + " " + two.path()));
  if (!shell("btrfs device scan " + one.path() + " " + two.path() + " >/dev/null 2>&1"))
    GTEST_SKIP() << "no btrfs here";
  const Mount mount(one.path(), dir / "mnt", "device=" + one.path() + ",device=" + two.path());
  if (!mount.mounted()) GTEST_SKIP() << "this kernel has no btrfs";
  for (const std::string& path : {one.path(), two.path(), dir / "one", dir / "two"}) {
    const std::vector<MountUse> uses = uses_of(path);
    ASSERT_FALSE(uses.empty()) << path;
    EXPECT_EQ(uses[0].mount_point, mount.path());
    EXPECT_TRUE(uses[0].read_write);
  }
}

TEST(MountsOf, NothingThere) {
  EXPECT_EQ(superblock_of("/nonexistent/disk").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(mounts_of("/nonexistent/disk").error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ashlar
