// Tests of QEMU's command line: each option is one word, also when its names contain special characters.
#include "machine/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ashlar {
namespace {

using Json = nlohmann::json;

InstanceRecord two_disks() {
  InstanceRecord record;
  record.id = InstanceId{1};
  record.snapshot = SnapshotId{2};
  record.memory = ByteCount{std::uint64_t{768} << 20U};
  record.cpus = 3;
  record.devices = {{"/dev/sda", VolumeId{0xa}, true, {}}, {"/dev/sdb", VolumeId{0xb}, true, {}}};
  return record;
}

std::vector<std::string> words(const InstanceRecord& record, Accelerator accelerator = Accelerator::kTcg) {
  return qemu_command("/usr/bin/qemu", record, accelerator, {{"/s,1", "vol-a"}, {"/s,1", "vol-b"}});
}

// Returns the values of all options with this name.
std::vector<std::string> values(const std::vector<std::string>& words, const std::string& option) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == option) found.push_back(words[i + 1]);
  }
  return found;
}

TEST(CommandLine, DisksAreNbdExportsThatAreWaitedForWhenTheirServerRestarts) {
  const auto all = words(two_disks());
  const auto nodes = values(all, "-blockdev");
  ASSERT_EQ(nodes.size(), 2U);
  const Json node = Json::parse(nodes[1]);
  EXPECT_EQ(node["driver"], "nbd");
  EXPECT_EQ(node["export"], "vol-b");
  EXPECT_EQ(node["server"], (Json{{"type", "unix"}, {"path", "/s,1"}})) << "no escapes in JSON";
  EXPECT_GT(node["reconnect-delay"], 0);
  const auto devices = values(all, "-device");
  ASSERT_EQ(devices.size(), 3U) << "two disks and random numbers";
  const Json disk = Json::parse(devices[0]);
  EXPECT_EQ(disk["drive"], Json::parse(nodes[0])["node-name"]);
  EXPECT_EQ(disk["serial"], "vol0000000000000000a");
  EXPECT_EQ(disk["serial"].get<std::string>().size(), 20U) << "all that virtio has room for";
  EXPECT_TRUE(disk.contains("bootindex"));
  EXPECT_FALSE(Json::parse(devices[1]).contains("bootindex"));
}

// Devices that are files stand among those that are volumes; the exports belong to the volumes, in order.
TEST(CommandLine, DevicesMayBeFilesOfTheMachine) {
  InstanceRecord record = two_disks();
  record.devices.insert(record.devices.begin(), {"/dev/sd0", {}, true, "disk-sd0.raw"});
  const auto all = words(record);
  const auto nodes = values(all, "-blockdev");
  ASSERT_EQ(nodes.size(), 3U);
  const Json file = Json::parse(nodes[0]);
  EXPECT_EQ(file["driver"], "raw") << "never probed";
  EXPECT_EQ(file["file"]["filename"], "disk-sd0.raw");
  EXPECT_EQ(Json::parse(nodes[1])["export"], "vol-a");
  EXPECT_EQ(Json::parse(nodes[2])["export"], "vol-b");
  const auto devices = values(all, "-device");
  EXPECT_TRUE(Json::parse(devices[0]).contains("bootindex"));
  EXPECT_FALSE(Json::parse(devices[1]).contains("bootindex"));
  EXPECT_EQ(Json::parse(devices[0])["serial"], "disk-sd0.raw");
}

TEST(CommandLine, HardwareIsTheRecords) {
  const auto all = words(two_disks());
  EXPECT_EQ(values(all, "-m"), std::vector<std::string>{"768M"});
  EXPECT_EQ(values(all, "-smp"), std::vector<std::string>{"3"});
  EXPECT_EQ(values(all, "-machine"), std::vector<std::string>{"q35"});
  EXPECT_EQ(values(all, "-accel"), std::vector<std::string>{"tcg"});
  const auto fast = words(two_disks(), Accelerator::kKvm);
  EXPECT_EQ(values(fast, "-accel"), std::vector<std::string>{"kvm"});
  EXPECT_EQ(values(fast, "-cpu"), std::vector<std::string>{"host"});
}

TEST(CommandLine, NamesCannotAddOptions) {
  InstanceRecord record = two_disks();
  record.name = "web,debug-threads=on";
  EXPECT_EQ(values(words(record), "-name"), std::vector<std::string>{"guest=web,,debug-threads=on"});
  record.name.clear();
  EXPECT_EQ(values(words(record), "-name"), std::vector<std::string>{"guest=i-00000000000000001"});
}

TEST(CommandLine, AKernelIsGivenOnlyWhenThereIsOne) {
  EXPECT_THAT(words(two_disks()), testing::Not(testing::Contains("-kernel")));
  InstanceRecord record = two_disks();
  record.kernel = "/boot/vmlinuz, old";
  record.append = "root=/dev/vda";
  EXPECT_EQ(values(words(record), "-kernel"), std::vector<std::string>{"/boot/vmlinuz, old"});
  EXPECT_EQ(values(words(record), "-append"), std::vector<std::string>{"root=/dev/vda"});
  EXPECT_THAT(words(record), testing::Not(testing::Contains("-initrd")));
  record.kernel = kKernelName;
  record.initrd = kRamdiskName;
  EXPECT_EQ(values(words(record), "-kernel"), std::vector<std::string>{"kernel"})
      << "in the machine's directory, where QEMU runs";
  EXPECT_EQ(values(words(record), "-initrd"), std::vector<std::string>{"ramdisk"});
}

TEST(CommandLine, ThereIsNoNetworkUnlessItIsWanted) {
  EXPECT_THAT(words(two_disks()), testing::Contains("-nodefaults"));
  EXPECT_THAT(words(two_disks()), testing::Not(testing::Contains("-netdev")));
  InstanceRecord record = two_disks();
  record.network = "user";
  EXPECT_EQ(values(words(record), "-netdev"), std::vector<std::string>{"user,id=net0"});
}

TEST(CommandLine, AddressesOfServersAreRead) {
  EXPECT_EQ(parse_nbd_export("nbd+unix:///vol-1?socket=/a b/s").take(), (NbdExport{"/a b/s", "vol-1"}));
  EXPECT_EQ(parse_nbd_export("nbd://localhost:10809/vol-1").error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(parse_nbd_export("nbd+unix:///?socket=/s").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(parse_nbd_export("nbd+unix:///vol-1?socket=").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(parse_nbd_export("/vol-1").error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace ashlar
