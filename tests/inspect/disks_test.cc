// Tests of partition tables and of what lies in partitions, as sfdisk and mkfs make them.
#include "disks.h"

#include "inspect/signatures.h"

namespace ashlar {
namespace {

class Disks : public DiskTest {
 protected:
  void table(const std::string& size, const std::string& lines) const {
    std::ofstream(path("table")) << lines;
    run(fmt::format("truncate -s 0 disk && truncate -s {} disk && sfdisk -q disk <table", size));
  }
  // Puts a file system of `mib` MiB, made by `mkfs`, at MiB `at` of the disk.
  void fill(unsigned at, unsigned mib, const std::string& mkfs) const {
    run(
        fmt::format("rm -f part && truncate -s {}M part && {} part && "
                    "dd if=part of=disk bs=1M seek={} conv=notrunc,sparse status=none",
                    mib, mkfs, at));
  }
  DiskReport inspect_file() const { return inspect(bytes_of_file(path("disk"))); }
  static std::string shape(const DiskReport& report) {
    std::string text = report.partition_table;
    for (const InspectedPart& part : report.parts)
      text += fmt::format(" {}:{}{}{}", part.partition, part.type.empty() ? "-" : part.type,
                          part.is_looked_into ? "+" : "", part.doubts.empty() ? "" : "?");
    return text;
  }
  void put_system() const {
    put("/etc/machine-id", "");
    put("/root/.bash_history", "x\n");
  }
};

constexpr const char* kGpt = R"(label: gpt
start=1MiB,size=1MiB,type=21686148-6449-6E6F-744E-656564454649
start=2MiB,size=40MiB,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start=42MiB,size=16MiB,type=0FC63DAF-8483-4772-8E79-3D69D8477DE4
start=58MiB,size=8MiB,type=0657FD6D-A4AB-43C4-84E5-0933C1B0D5AE
start=66MiB,size=300MiB
start=366MiB,size=8MiB
start=374MiB,size=8MiB
)";

TEST_F(Disks, AnEfiSystemWithManyPartitions) {
  put_system();
  table("400M", kGpt);
  run("head -c 600000 /dev/urandom | dd of=disk bs=1M seek=1 conv=notrunc status=none");
  fill(2, 40, "mkfs.vfat -n ESP");
  fill(42, 16, kMke2fs + " -L root");
  fill(58, 8, "mkswap");
  fill(66, 300, "mkfs.xfs -q");
  run("head -c 600000 /dev/urandom | dd of=disk bs=1M seek=374 conv=notrunc status=none");
  const DiskReport report = inspect_file();
  EXPECT_EQ(shape(report), "gpt 1:- 2:vfat 3:ext4+ 4:swap+ 5:xfs? 6:-+ 7:-?");
  EXPECT_EQ(found_in(report), std::multiset<std::string>({"3 shell-history /root/.bash_history"}));
  EXPECT_EQ(doubts_of(report), "5: xfs is not looked into\n7: nothing that is known\n");
  EXPECT_EQ(report.parts[2].label, "root");
  EXPECT_EQ(report.parts[2].first, ByteOffset{42 * kMiB});
  EXPECT_EQ(report.parts[2].size, ByteCount{16 * kMiB});
}

// When the main header of a GPT is lost, the one at the end of the disk is used.
TEST_F(Disks, TheOtherEndOfAGpt) {
  put_system();
  table("400M", kGpt);
  fill(42, 16, kMke2fs);
  run("dd if=/dev/zero of=disk bs=512 seek=1 count=8 conv=notrunc status=none");
  EXPECT_EQ(shape(inspect_file()), "gpt 1:-+ 2:-+ 3:ext4+ 4:-+ 5:-+ 6:-+ 7:-+");
}

TEST_F(Disks, LogicalPartitions) {
  put_system();
  table("100M",
        "label: dos\nstart=2048,size=10M,type=83\nstart=22528,type=5\nsize=20M,type=83\nsize=20M,type=82\n"
        "size=30M,type=83\n");
  run("sfdisk -d disk | sed -n 's/.*disk[0-9]* *: start= *\\([0-9]*\\),.*/\\1/p' >starts");
  std::ifstream in(path("starts"));
  std::vector<unsigned> starts{std::istream_iterator<unsigned>(in), {}};
  ASSERT_EQ(starts.size(), 5U);
  for (const std::size_t i : {0U, 2U, 4U}) {
    ASSERT_EQ(starts[i] % 2048, 0U);
    fill(starts[i] / 2048, 10, kMke2fs);
  }
  fill(starts[3] / 2048, 10, "mkswap");
  const DiskReport report = inspect_file();
  EXPECT_EQ(shape(report), "dos 1:ext4+ 5:ext4+ 6:swap+ 7:ext4+");
  EXPECT_EQ(found_in(report).size(), 3U);
}

// The inspection ends also when a chain of logical partitions leads back to itself, leads out of the disk, or
// never ends. The key in the second logical partition is then found, or the disk is not called clean.
TEST_F(Disks, LogicalPartitionsInCircles) {
  table("100M", "label: dos\nstart=2048,type=5\nsize=20M,type=83\nsize=20M,type=83\n");
  put("/root/.ssh/id_rsa", kKeyText);
  fill(23, 20, kMke2fs);
  ByteVector bytes = bytes_of_file(path("disk"));
  for (const std::uint32_t next : {0U, 1U, 2048U, 0xffffffffU, 0x7fffffffU}) {
    ByteVector changed = bytes;
    std::memcpy(changed.data() + kMiB + 446 + 16 + 8, &next, sizeof next);
    EXPECT_FALSE(inspect(changed).is_clean()) << next;
  }
}

TEST_F(Disks, PartitionsOutsideOfTheDisk) {
  table("100M", "label: dos\nstart=2048,size=10M,type=83\nstart=51200,size=60M,type=83\n");
  ByteVector bytes = bytes_of_file(path("disk"));
  bytes.resize(50 * kMiB);
  const std::string doubts = doubts_of(inspect(bytes));
  EXPECT_NE(doubts.find("partition 2 does not lie within the disk"), std::string::npos) << doubts;
}

// Data in a disk whose partition table is empty is reported: it may be a file system from before the table.
TEST_F(Disks, TablesWithoutPartitions) {
  for (const char* label : {"label: dos\n", "label: gpt\n"}) {
    table("32M", label);
    EXPECT_TRUE(inspect_file().is_clean()) << label << doubts_of(inspect_file());
    run("head -c 500000 /dev/urandom | dd of=disk bs=1024 seek=32 conv=notrunc status=none");
    EXPECT_TRUE(inspect_file().is_clean()) << "a boot loader in the gap before partitions";
    put("/root/.ssh/id_rsa", kKeyText);
    fill(1, 24, kMke2fs);
    const DiskReport report = inspect_file();
    EXPECT_FALSE(report.is_clean()) << label;
    EXPECT_NE(doubts_of(report).find("data outside of partitions"), std::string::npos) << doubts_of(report);
  }
  table("32M", "label: dos\n");
  ByteVector bytes = bytes_of_file(path("disk"));
  bytes[20 * kMiB] = std::byte{1};
  EXPECT_FALSE(inspect(bytes).is_clean());
}

TEST_F(Disks, DataBetweenPartitions) {
  put_system();
  table("100M",
        "label: dos\nstart=2048,size=10M,type=83\nstart=14M,size=10M,type=83\nstart=40M,type=5\n"
        "disk5 : start=41M,size=20M,type=83\ndisk6 : start=80M,size=5M,type=83\n");
  const ByteVector sound = bytes_of_file(path("disk"));
  EXPECT_TRUE(inspect(sound).is_clean()) << doubts_of(inspect(sound));
  for (const std::uint64_t mib : {12U, 30U, 39U, 70U, 90U}) {
    ByteVector changed = sound;
    changed[mib * kMiB + 5] = std::byte{1};
    EXPECT_NE(doubts_of(inspect(changed)).find("0: data outside of partitions"), std::string::npos) << mib;
  }
  for (const std::uint64_t mib : {2U, 15U, 50U, 81U}) {
    ByteVector changed = sound;
    changed[mib * kMiB + 5] = std::byte{1};
    EXPECT_EQ(doubts_of(inspect(changed)).find("outside"), std::string::npos) << mib;
  }
}

TEST_F(Disks, SwapThatWasUsed) {
  ByteVector bytes = make("mkswap");
  EXPECT_TRUE(inspect(bytes).is_clean());
  EXPECT_EQ(inspect(bytes).parts[0].note, "holds nothing");
  bytes[5 * kMiB] = std::byte{1};
  EXPECT_EQ(found_in(inspect(bytes)), std::multiset<std::string>({"swap "}));
}

TEST_F(Disks, DisksThatHoldNothing) {
  EXPECT_TRUE(inspect(ByteVector(8 * kMiB)).is_clean());
  EXPECT_TRUE(inspect(ByteVector()).is_clean());
  ByteVector one(8 * kMiB);
  one[5 * kMiB] = std::byte{1};
  EXPECT_EQ(doubts_of(inspect(one)), "0: no partition table or file system that is known\n");
  EXPECT_FALSE(inspect(ByteVector(777, std::byte{7})).is_clean());
}

TEST_F(Disks, AFileSystemWithoutPartitionsThatIsNotLookedInto) {
  EXPECT_EQ(doubts_of(inspect(make("mkfs.xfs -q", "300M"))), "0: xfs is not looked into\n");
  EXPECT_EQ(doubts_of(inspect(make("mkfs.vfat", "40M"))), "0: vfat is not looked into\n");
  EXPECT_NE(doubts_of(inspect(make("mke2fs -q -F -O journal_dev"))), "");
}

// libblkid recognises the same from the copied ends of a disk as from the whole file.
TEST_F(Disks, WhatLibblkidNeedsIsCopied) {
  for (const char* mkfs :
       {"mkfs.xfs -q -L label", "mkfs.vfat -F 32 -n label", "mke2fs -q -F -t ext3 -L label",
        "mkswap -L label", "mkfs.btrfs -q -L label", "mkfs.minix", "mkfs.cramfs -n label /etc/ssh"}) {
    if (std::system(fmt::format("PATH=$PATH:/usr/sbin:/sbin; command -v {} >/dev/null",
                                std::string(mkfs).substr(0, std::string(mkfs).find(' ')))
                        .c_str()) != 0)
      continue;
    const MemoryDisk disk(make(mkfs, "300M"));
    run("blkid -p -o value -s TYPE disk | tr -d '\\n' >type; blkid -p -o value -s LABEL disk | tr -d '\\n' "
        ">label; true");
    const auto signature = find_signature(DiskPart(disk, ByteOffset{0}, disk.size()));
    ASSERT_TRUE(signature.ok());
    EXPECT_EQ(signature.value().type, text_of("type")) << mkfs;
    EXPECT_FALSE(signature.value().type.empty()) << mkfs;
    EXPECT_EQ(signature.value().label, text_of("label")) << mkfs;
  }
}

}  // namespace
}  // namespace ashlar
