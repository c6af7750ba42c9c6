#include "image/mapping.h"

#include <gtest/gtest.h>

namespace ashlar {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30U;

std::vector<DeviceMapping> parsed(const std::vector<std::string>& words) {
  std::vector<DeviceMapping> mappings;
  for (const std::string& word : words) {
    auto mapping = parse_mapping(word);
    EXPECT_TRUE(mapping.ok()) << word << ": " << (mapping.ok() ? "" : mapping.error().text());
    if (mapping.ok()) mappings.push_back(mapping.take());
  }
  return mappings;
}

TEST(Mappings, OfANewImage) {
  const auto devices =
      devices_of(parsed({"/dev/sdc=no-device", "/dev/sdb=ephemeral1,size=2G",
                         "/dev/sda=snap-00000000000000007,size=20G,type=io2,iops=4000,throughput=250,"
                         "delete-on-termination=false",
                         "/dev/sdd=ephemeral2", "/dev/sde=snap-00000000000000008,delete-on-termination"}))
          .take();
  ASSERT_EQ(devices.size(), 5U);
  ImageDevice root;
  root.name = "/dev/sda";
  root.content.snapshot = SnapshotId{7};
  root.size = ByteCount{20 * kGib};
  root.volume_type = VolumeType::kIo2;
  root.iops = 4000;
  root.throughput = 250;
  root.delete_on_termination = false;
  EXPECT_EQ(devices[0], root);
  EXPECT_EQ(devices[1].kind, ImageDevice::Kind::kEphemeral);
  EXPECT_EQ(devices[1].ephemeral, 1U);
  EXPECT_EQ(devices[1].size.value, 2 * kGib);
  EXPECT_EQ(devices[2].kind, ImageDevice::Kind::kNone);
  EXPECT_EQ(devices[3].size, kDefaultEphemeralSize);
  EXPECT_EQ(devices[4].size.value, 0U);  // the size of its snapshot
  EXPECT_TRUE(devices[4].delete_on_termination);
}

TEST(Mappings, OfALaunchChangeReplaceAddAndLeaveOut) {
  const auto own = devices_of(parsed({"/dev/sda=snap-00000000000000007,size=20G,type=io2",
                                      "/dev/sdb=snap-00000000000000008", "/dev/sdc=ephemeral0"}))
                       .take();
  const auto devices =
      overridden(own, parsed({"/dev/sda=,size=40G,delete-on-termination=false", "/dev/sdb=no-device",
                              "/dev/sdd=ephemeral1,size=1G", "/dev/sdc=snap-00000000000000009"}))
          .take();
  ASSERT_EQ(devices.size(), 3U);
  EXPECT_EQ(devices[0].content.snapshot, SnapshotId{7});
  EXPECT_EQ(devices[0].size.value, 40 * kGib);
  EXPECT_EQ(devices[0].volume_type, VolumeType::kIo2);
  EXPECT_FALSE(devices[0].delete_on_termination);
  EXPECT_EQ(devices[1].name, "/dev/sdc");
  EXPECT_EQ(devices[1].kind, ImageDevice::Kind::kSnapshot);
  EXPECT_EQ(devices[1].content.snapshot, SnapshotId{9});
  EXPECT_EQ(devices[2].name, "/dev/sdd");
  EXPECT_FALSE(overridden(own, parsed({"/dev/sdz=,size=1G"})).ok());
}

TEST(Mappings, WhatIsNoMappingIsRefused) {
  for (const char* word : {"",
                           "/dev/sda",
                           "sda=ephemeral0",
                           "/dev/=ephemeral0",
                           "/dev/sd a=ephemeral0",
                           "/dev/SDA=ephemeral0",
                           "/dev/../sda=ephemeral0",
                           "/dev/sda=snap-7",
                           "/dev/sda=ephemeral",
                           "/dev/sda=ephemeralx",
                           "/dev/sda=ephemeral-1",
                           "/dev/sda=ephemeral99999999999",
                           "/dev/sda=disk",
                           "/dev/sda=ephemeral0,size=",
                           "/dev/sda=ephemeral0,size=0",
                           "/dev/sda=ephemeral0,size=-1",
                           "/dev/sda=ephemeral0,size=99999P",
                           "/dev/sda=ephemeral0,size=1G,size=2G",
                           "/dev/sda=ephemeral0,type=gp3",
                           "/dev/sda=no-device,size=1G",
                           "/dev/sda=,type=fast",
                           "/dev/sda=,iops=many",
                           "/dev/sda=,delete-on-termination=maybe",
                           "/dev/sda=,",
                           "/dev/sda=,colour=red",
                           "/dev/sda=snap-00000000000000000",
                           "/dev/sda=,snap-00000000000000007"}) {
    const auto mapping = parse_mapping(word);
    EXPECT_FALSE(mapping.ok()) << word;
    if (!mapping.ok()) {
      EXPECT_EQ(mapping.error().code(), ErrorCode::kInvalid) << word;
    }
  }
  EXPECT_FALSE(devices_of(parsed({"/dev/sda=,size=1G"})).ok());
  EXPECT_FALSE(devices_of(parsed({"/dev/sda=ephemeral0", "/dev/sda=ephemeral1"})).ok());
}

}  // namespace
}  // namespace ashlar
