// Tests of what is found in file systems, and of what is passed over.
#include <chrono>

#include "disks.h"
#include "inspect/ext_file_system.h"
#include "inspect/file_walk.h"

namespace ashlar {
namespace {

class Findings : public DiskTest {
 protected:
  // Fills the tree as a used machine would, and returns the findings that are expected in it.
  std::multiset<std::string> live() const {
    put_root();
    put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAAC3Nza me@here\n");
    put("/root/.ssh/id_ed25519", kKeyText);
    put("/root/.ssh/id_ed25519.pub", "ssh-ed25519 AAAAC3Nza me@here\n");
    put("/root/.bash_history", "mysql -psecret\n");
    put("/home/alice/.aws/credentials", "[default]\n");
    put("/home/alice/work/deep/notes.txt", "the key is AKIAI44QH8DHBQWERTYU\n");
    put("/home/alice/.python_history", "1\n");
    put("/var/lib/postgresql/.ssh/authorized_keys", "ssh-rsa AAAA replica\n");
    put("/etc/machine-id", "b08dfa6083e7567a1921a715000001fb\n");
    put("/etc/ssh/ssh_host_ed25519_key", kKeyText);
    put("/etc/ssl/private/web.key", "-----BEGIN PRIVATE KEY-----\n");
    put("/etc/hostname", "template\n");
    put("/var/lib/dhcp/dhclient.eth0.leases", "lease {}\n");
    put("/var/lib/cloud/instances/i-01a2b3c4/user-data.txt", "#cloud-config\n");
    put("/var/lib/cloud/data/instance-id", "i-01a2b3c4\n");
    put("/var/lib/systemd/random-seed", "xxxx");
    put("/var/log/syslog", "booted\n");
    put("/var/log/journal/b08d/system.journal", "LPKSHHRH");
    put("/swap.img", std::string(8192, 'm'));
    return {"authorized-keys /root/.ssh/authorized_keys",
            "private-key /root/.ssh/id_ed25519",
            "shell-history /root/.bash_history",
            "cloud-access-key /home/alice/.aws/credentials",
            "cloud-access-key /home/alice/work/deep/notes.txt",
            "shell-history /home/alice/.python_history",
            "authorized-keys /var/lib/postgresql/.ssh/authorized_keys",
            "machine-id /etc/machine-id",
            "ssh-host-key /etc/ssh/ssh_host_ed25519_key",
            "private-key /etc/ssl/private/web.key",
            "dhcp-lease /var/lib/dhcp/dhclient.eth0.leases",
            "cloud-init-state /var/lib/cloud/instances/i-01a2b3c4",
            "cloud-init-state /var/lib/cloud/data/instance-id",
            "random-seed /var/lib/systemd/random-seed",
            "log /var/log/syslog",
            "log /var/log/journal/b08d/system.journal",
            "swap /swap.img"};
  }
};

TEST_F(Findings, AMachineThatWasLivedIn) {
  const auto expected = live();
  const DiskReport report = inspect(make(kMke2fs));
  EXPECT_EQ(found_in(report), expected);
  EXPECT_EQ(doubts_of(report), "");
  EXPECT_FALSE(report.is_clean());
  ASSERT_EQ(report.parts.size(), 1U);
  EXPECT_EQ(report.parts[0].type, "ext4");
  EXPECT_TRUE(report.parts[0].is_looked_into);
}

// All layouts of ext that mke2fs offers are read equally.
TEST_F(Findings, InEveryKindOfExt) {
  const auto expected = live();
  for (const char* how :
       {"-t ext2", "-t ext3", "-t ext4 -b 1024", "-t ext4 -b 2048 -I 128", "-t ext4 -O ^metadata_csum,^64bit",
        "-t ext4 -O inline_data", "-t ext4 -O meta_bg,^resize_inode", "-t ext4 -O bigalloc -C 16384",
        "-t ext4 -O ^extent,^64bit", "-t ext4 -O ^dir_index,^filetype", "-t ext4 -O casefold",
        "-t ext4 -O mmp", "-t ext4 -E encoding_flags=strict -O casefold", "-t ext4 -O quota,project",
        "-t ext2 -r 0 -O none"}) {
    const DiskReport report = inspect(make("mke2fs -q -F -d tree " + std::string(how), "24M"));
    EXPECT_EQ(found_in(report), expected) << how;
    EXPECT_EQ(doubts_of(report), "") << how;
  }
}

TEST_F(Findings, ACleanMachine) {
  put_root();
  put("/root/.ssh/authorized_keys", "# nobody\n");
  put("/root/.bash_history", "");
  put_link("/root/.zsh_history", "/dev/null");
  put("/home/alice/.aws/config", "[default]\nregion = eu-central-1\n");
  put("/home/alice/manual.txt", "such as AKIAIOSFODNN7EXAMPLE\n");
  put("/etc/machine-id", "uninitialized\n");
  put("/etc/ssl/certs/ca.pem", "-----BEGIN CERTIFICATE-----\n");
  put("/etc/ssh/ssh_host_ed25519_key", "");
  put("/usr/share/doc/key.pem", kKeyText);
  put("/usr/share/doc/log", "the rules lead nowhere near\n");
  put_link("/var/log/README", "../../usr/share/doc/log");
  put("/var/log/wtmp", "");
  put_link("/var/lib/dbus/machine-id", "/etc/machine-id");
  put_link("/var/lib/cloud/instance", "instances/i-01a2b3c4");
  const DiskReport report = inspect(make(kMke2fs));
  EXPECT_EQ(found_in(report), std::multiset<std::string>());
  EXPECT_EQ(doubts_of(report), "");
  EXPECT_TRUE(report.is_clean());
}

TEST_F(Findings, LinksLeadWithinTheFileSystem) {
  put_root();
  put("/etc/hostname", "a\n");
  put("/data/root/.bash_history", "one\n");
  put("/data/people/bob/.ssh/authorized_keys", "ssh-rsa AAAA bob\n");
  put("/usr/ids/machine", "b08dfa6083e7567a1921a715000001fb\n");
  put_link("/root", "data/root");
  put_link("/home", "/srv/../data/people");
  std::filesystem::create_directories(path("tree") + "/srv");
  std::string slow(80, '/');  // too long for a fast link
  slow += "usr/ids/../../usr/ids/machine";
  put_link("/etc/machine-id", slow);
  put_link("/data/root/.mysql_history", ".mysql_history");
  put_link("/data/root/.psql_history", "../../../../../data/root/.bash_history");
  const DiskReport report = inspect(make(kMke2fs));
  EXPECT_EQ(found_in(report),
            std::multiset<std::string>(
                {"shell-history /root/.bash_history", "shell-history /root/.psql_history",
                 "authorized-keys /home/bob/.ssh/authorized_keys", "machine-id /etc/machine-id"}));
  EXPECT_EQ(doubts_of(report), "");
}

// File systems of /home and of /var alone are recognised because they are not root file systems.
TEST_F(Findings, FileSystemsThatAreMountedDeeper) {
  put("/alice/.ssh/id_rsa", kKeyText);
  put("/alice/.bash_history", "x\n");
  EXPECT_EQ(
      found_in(inspect(make(kMke2fs))),
      std::multiset<std::string>({"private-key /alice/.ssh/id_rsa", "shell-history /alice/.bash_history"}));
  std::filesystem::remove_all(path("tree"));
  put("/log/syslog", "x\n");
  put("/lib/dhcp/leases", "x\n");
  EXPECT_EQ(found_in(inspect(make(kMke2fs))),
            std::multiset<std::string>({"log /log/syslog", "dhcp-lease /lib/dhcp/leases"}));
  std::filesystem::remove_all(path("tree"));
  put("/wtmp", "");
  put("/auth.log", "x\n");
  EXPECT_EQ(found_in(inspect(make(kMke2fs))), std::multiset<std::string>({"log /auth.log"}));
}

// The users of this home file system are called like folders of a root file system.
TEST_F(Findings, AHomeWithFoldersOfARoot) {
  put("/etc/notes", "a\n");
  put("/bin/tool", "a\n");
  put("/var/notes", "a\n");
  put("/bob/.ssh/id_rsa", kKeyText);
  put("/bob/work/key.pem", kKeyText);
  EXPECT_EQ(found_in(inspect(make(kMke2fs))),
            std::multiset<std::string>({"private-key /bob/.ssh/id_rsa", "private-key /bob/work/key.pem"}));
  std::filesystem::remove_all(path("tree"));
  put("/bin/tool", "a\n");
  put("/.bash_history", "x\n");
  put("/work/key.pem", kKeyText);
  EXPECT_EQ(found_in(inspect(make(kMke2fs))),
            std::multiset<std::string>({"shell-history /.bash_history", "private-key /work/key.pem"}))
      << "of /home/bob";
}

TEST_F(Findings, FoldersOfVarAndEtcOfTheirOwn) {
  put("/dhcp/dhclient.leases", "lease {}\n");
  put("/systemd/random-seed", "xxxx");
  put("/NetworkManager/secret_key", "nm-v2:xxxx");
  put("/cloud/instances/i-01a2b3c4/user-data.txt", "#cloud-config\n");
  EXPECT_EQ(found_in(inspect(make(kMke2fs))),
            std::multiset<std::string>(
                {"dhcp-lease /dhcp/dhclient.leases", "random-seed /systemd/random-seed",
                 "private-key /NetworkManager/secret_key", "cloud-init-state /cloud/instances/i-01a2b3c4"}))
      << "of /var/lib";
  std::filesystem::remove_all(path("tree"));
  put("/instances/i-01a2b3c4/user-data.txt", "#cloud-config\n");
  put("/data/instance-id", "i-01a2b3c4\n");
  EXPECT_EQ(found_in(inspect(make(kMke2fs))),
            std::multiset<std::string>(
                {"cloud-init-state /instances/i-01a2b3c4", "cloud-init-state /data/instance-id"}))
      << "of /var/lib/cloud";
  std::filesystem::remove_all(path("tree"));
  put("/machine-id", "b08dfa6083e7567a1921a715000001fb\n");
  put("/ssh/ssh_host_ed25519_key", kKeyText);
  EXPECT_EQ(found_in(inspect(make(kMke2fs))),
            std::multiset<std::string>({"machine-id /machine-id", "ssh-host-key /ssh/ssh_host_ed25519_key"}))
      << "of /etc";
  std::filesystem::remove_all(path("tree"));
  put("/data/table", "a\n");
  EXPECT_TRUE(inspect(make(kMke2fs)).is_clean()) << "of a database";
}

TEST_F(Findings, ManyFindingsAreCounted) {
  std::filesystem::create_directories(path("tree") + "/etc");
  for (int i = 0; i < 1300; ++i) put(fmt::format("/var/log/{:04}", i), "x");
  const DiskReport report = inspect(make(kMke2fs, "32M"));
  EXPECT_EQ(report.findings.size(), kMostFindings);
  EXPECT_EQ(report.findings_left_out, 1300 - kMostFindings);
}

TEST_F(Findings, NamesAreShownSafely) {
  put("/etc/hostname", "a\n");
  put("/var/log/\x1b[31mred\n", "x");
  EXPECT_EQ(found_in(inspect(make(kMke2fs))), std::multiset<std::string>({"log /var/log/\\x1b[31mred\\x0a"}));
}

TEST_F(Findings, AFileSystemThatWasNotUnmountedIsADoubt) {
  put("/etc/hostname", "a\n");
  make(kMke2fs);
  run("debugfs -w -R 'feature needs_recovery' disk");
  EXPECT_NE(doubts_of(inspect(bytes_of_file(path("disk")))).find("journal is not replayed"),
            std::string::npos);
  make(kMke2fs);
  run("debugfs -w -R 'ssv state 2' disk");
  EXPECT_NE(doubts_of(inspect(bytes_of_file(path("disk")))).find("marked as damaged"), std::string::npos);
}

TEST_F(Findings, WhatIsEncryptedIsADoubt) {
  put("/etc/hostname", "a\n");
  put("/home/alice/.profile", "a\n");
  make(kMke2fs + " -O encrypt");
  run("debugfs -w -R 'sif /home/alice flags 0x80800' disk");
  EXPECT_EQ(doubts_of(inspect(bytes_of_file(path("disk")))), "0: /home/alice: it is encrypted\n");
}

TEST_F(Findings, AFileOfWhichABlockIsDamagedIsADoubt) {
  put("/etc/hostname", "a\n");
  put("/root/notes", std::string(5000, 'n'));
  make(kMke2fs);
  run("debugfs -w -R 'sif /root/notes block[5] 0xffffffff' disk");
  EXPECT_NE(doubts_of(inspect(bytes_of_file(path("disk")))).find("/root/notes: "), std::string::npos);
}

TEST_F(Findings, WhatTheDiskFailsToGiveIsAnError) {
  live();
  MemoryDisk disk(make(kMke2fs));
  disk.fail_before(disk.size().value);
  EXPECT_FALSE(inspect_disk(disk, {}).ok());
  disk.fail_before(0);
  Budget budget;
  const DiskPart part(disk, ByteOffset{0}, disk.size());
  const auto files = ExtFileSystem::open(part, budget, {}).take();
  disk.fail_before(disk.size().value);
  DiskReport report;
  InspectedPart shown;
  EXPECT_TRUE(FileWalk(*files, budget, report, shown, {}).run().ok());
  ASSERT_TRUE(files->failure());
  EXPECT_EQ(files->failure()->text(), "the disk is broken");
}

TEST_F(Findings, AStoppedWalkIsCancelled) {
  live();
  const MemoryDisk disk(make(kMke2fs));
  std::stop_source stop;
  stop.request_stop();
  const auto report = inspect_disk(disk, stop.get_token());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kCancelled);
}

// A disk that requests a stop of its inspection after `reads` reads, and counts the reads that follow.
class StoppingDisk : public MemoryDisk {
 public:
  StoppingDisk(ByteVector bytes, unsigned reads) : MemoryDisk(std::move(bytes)), reads_left_(reads) {}
  Status read(ByteOffset offset, MutableByteSpan out) const override {
    if (stop_.stop_requested()) ++reads_after_;
    if (reads_left_ > 0 && --reads_left_ == 0) stop_.request_stop();
    return MemoryDisk::read(offset, out);
  }
  std::stop_token token() const { return stop_.get_token(); }
  unsigned reads_after() const { return reads_after_; }

 private:
  mutable std::stop_source stop_;
  mutable unsigned reads_left_;
  mutable unsigned reads_after_ = 0;
};

// A walk can be stopped within a folder too: one folder may hold any number of files.
TEST_F(Findings, AWalkIsStoppedWithinAFolder) {
  put_root();
  for (int i = 0; i < 500; ++i) put(fmt::format("/root/{:03}", i), std::string(20'000, 'a'));
  const StoppingDisk disk(make(kMke2fs, "32M"), 3000);
  const auto report = inspect_disk(disk, disk.token());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.error().code(), ErrorCode::kCancelled);
  EXPECT_TRUE(disk.token().stop_requested());
  EXPECT_EQ(disk.reads_after(), 0U);
}

// In a large file system only what the rules need is read.
TEST_F(Findings, LittleIsRead) {
  live();
  for (int i = 0; i < 40; ++i) put(fmt::format("/usr/lib/{}/file", i), std::string(kMiB, 'u'));
  const MemoryDisk disk(make(kMke2fs, "96M"));
  inspect(disk);
  EXPECT_LT(disk.read_bytes(), 16 * kMiB);
}

}  // namespace
}  // namespace ashlar
