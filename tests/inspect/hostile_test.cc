// Tests of file systems that were made to do harm: an inspection of them ends, soon, with a report.
#include <chrono>

#include "base/random.h"
#include "disks.h"
#include "inspect/ext_file_system.h"
#include "inspect/file_walk.h"

namespace ashlar {
namespace {

class Hostile : public DiskTest {
 protected:
  DiskReport inspect_file() const { return inspect(bytes_of_file(path("disk"))); }
  void debugfs(const std::string& commands) const {
    std::ofstream(path("commands")) << commands;
    run("debugfs -w -f commands disk");
  }
};

// Without other files the limit on bytes read ends the walk, with them the limit on the number of files.
TEST_F(Hostile, AFolderThatHoldsItself) {
  for (const int files : {0, 500}) {
    put("/etc/hostname", "a\n");
    put("/home/a/.profile", "a\n");
    for (int i = 0; i < files; ++i) put(fmt::format("/home/a/{}", i), "");
    make(kMke2fs);
    debugfs("expand_dir /home/a\nln /home/a /home/a/x\nln /home/a /home/a/y\nln / /home/a/z\n");
    const auto began = std::chrono::steady_clock::now();
    const std::string doubts = doubts_of(inspect_file());
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
    EXPECT_NE(doubts.find(files == 0 ? "more of it has to be read" : "more files than"), std::string::npos)
        << doubts;
  }
}

TEST_F(Hostile, LinksInCircles) {
  put("/etc/hostname", "a\n");
  put_link("/root", "home/b");
  put_link("/home/a", "/home/b/x/../../a");
  put_link("/home/b", "a");
  std::string all = "/home";
  for (int i = 0; i < 200; ++i) all += "/a/..";
  put_link("/home/c", all);
  put_link("/home/d", "../home");
  const DiskReport report = inspect(make(kMke2fs));
  EXPECT_EQ(found_in(report), std::multiset<std::string>());
}

// libext2fs itself would read past the end of its buffers when it follows these links.
TEST_F(Hostile, LinksThatLieAboutTheirLength) {
  put("/etc/hostname", "a\n");
  put_link("/root", std::string(70, 'x'));
  put_link("/home", "/root/y");
  for (const char* size : {"0", "59", "60", "4095", "65536", "0x7fffffff"}) {
    make(kMke2fs);
    debugfs(fmt::format("sif /root size {0}\nsif /home size {0}\n", size));
    // A link of less than 60 bytes lies in its inode: there it leads to a name that does not exist. Any other
    // one can't be read, so the home of root is unknown.
    const bool lies_in_inode = size == std::string_view("0") || size == std::string_view("59");
    EXPECT_EQ(inspect_file().is_clean(), lies_in_inode) << size;
  }
}

TEST_F(Hostile, FoldersBelowFolders) {
  put("/etc/hostname", "a\n");
  std::string deep = "/home";
  for (int i = 0; i < 60; ++i) deep += "/d";
  put(deep + "/key", kKeyText);
  EXPECT_NE(doubts_of(inspect(make(kMke2fs))).find("too deep"), std::string::npos);
}

TEST_F(Hostile, MoreToReadThanABudgetAllows) {
  put("/etc/hostname", "a\n");
  for (int i = 0; i < 50; ++i) put(fmt::format("/home/a/{}", i), std::string(20'000, 'a'));
  const MemoryDisk disk(make(kMke2fs));
  const DiskPart whole(disk, ByteOffset{0}, disk.size());
  Budget budget;
  budget.read_bytes = 200'000;
  const auto files = ExtFileSystem::open(whole, budget, {}).take();
  DiskReport report;
  InspectedPart part;
  ASSERT_TRUE(FileWalk(*files, budget, report, part, {}).run().ok());
  ASSERT_EQ(part.doubts.size(), 1U) << part.doubts.front();
  EXPECT_NE(part.doubts[0].find("more of it has to be read"), std::string::npos);
}

TEST_F(Hostile, SuperblocksThatAskForMuch) {
  put("/etc/hostname", "a\n");
  for (const char* command :
       {"ssv blocks_count 0xffffffff", "ssv blocks_count 0xffffffffffff", "ssv blocks_per_group 8",
        "ssv blocks_per_group 0", "ssv log_block_size 40", "ssv log_block_size 6",
        "ssv first_data_block 0xffffffff", "ssv inodes_per_group 0", "ssv inodes_per_group 0xffffff",
        "ssv inode_size 0", "ssv inode_size 0xffff", "ssv desc_size 0", "ssv desc_size 4096",
        "ssv first_ino 0", "ssv feature_incompat 0xffffffff", "ssv rev_level 9", "ssv inodes_count 0",
        "ssv log_cluster_size 30", "ssv clusters_per_group 1"}) {
    make(kMke2fs);
    // debugfs makes the checksum right again.
    std::ofstream(path("commands")) << command << "\n";
    run("debugfs -w -f commands disk && truncate -s 16M disk");  // debugfs may write far beyond the end,
                                                                 // where the superblock says
    const DiskReport report = inspect_file();
    EXPECT_TRUE(report.findings.empty()) << command;
  }
}

// Bytes change where a file system keeps what leads to other parts of it: superblock, descriptors, inodes,
// folders, extents.
TEST_F(Hostile, BytesThatChange) {
  for (int i = 0; i < 20; ++i) {
    put(fmt::format("/home/u{}/.ssh/authorized_keys", i), "ssh-rsa AAAA\n");
    put(fmt::format("/home/u{}/files/note{}", i, i), std::string(9000, 'n'));
  }
  put_root();
  put("/etc/machine-id", "uninitialized\n");
  put_link("/root", "home/u1");
  put("/var/log/syslog", std::string(30'000, 'l'));
  const unsigned rounds = std::getenv("ASHLAR_LONG_TESTS") != nullptr ? 1500 : 300;
  unsigned seed = 1;
  for (const char* how :
       {"-t ext4", "-t ext4 -O ^metadata_csum", "-t ext2 -b 1024", "-t ext4 -O inline_data,^metadata_csum",
        "-t ext4 -b 1024 -O ^metadata_csum,^extent,^64bit,meta_bg,^resize_inode"}) {
    const ByteVector sound = make("mke2fs -q -F -d tree " + std::string(how), "8M");
    const std::multiset<std::string> whole = found_in(inspect(sound));
    EXPECT_EQ(whole.size(), 22U) << how;
    // Only blocks that are neither blank nor filled with one letter are changed: these hold metadata.
    std::vector<std::size_t> places;
    for (std::size_t at = 0; at < sound.size(); at += 1024) {
      const ByteSpan block = ByteSpan(sound).subspan(at, 1024);
      const bool is_text = std::ranges::all_of(block, [&](std::byte b) { return b == block[0]; });
      if (!is_text && !is_zero(block)) places.push_back(at);
    }
    unsigned unlike = 0;
    for (unsigned round = 0; round < rounds; ++round, ++seed) {
      SCOPED_TRACE(fmt::format("{}, seed {}", how, seed));
      Prng prng(seed);
      MemoryDisk disk(sound);
      for (std::uint64_t changes = 1 + prng.below(30); changes > 0; --changes) {
        const std::size_t block = places[prng.below(places.size())];
        disk.bytes()[block + prng.below(1024)] =
            static_cast<std::byte>(prng.below(4) == 0 ? 0xff : prng.below(256));
      }
      const auto began = std::chrono::steady_clock::now();
      const auto report = inspect_disk(disk, {});
      ASSERT_TRUE(report.ok()) << report.error().text();
      EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
      if (found_in(report.value()) != whole || !doubts_of(report.value()).empty()) ++unlike;
    }
    EXPECT_GT(unlike, rounds / 10) << "the changes hit nothing";
  }
}

}  // namespace
}  // namespace ashlar
