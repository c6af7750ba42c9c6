// Tests of instance records: what is written is read, what version 1 wrote stays readable, and damage is
// refused.
#include "document/instance_record.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "document/golden_instance.h"
#include "document/json_changes.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

using golden::instance;

std::string with(const Json& changes) { return changed(encode(instance()), changes); }

ErrorCode refusal(const std::string& text) {
  const auto got = decode_instance_record(text);
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

std::string fixture(const std::string& name) {
  std::ifstream in(ASHLAR_FIXTURES "/formats/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(InstanceRecord, TheFixtureIsReadAndStillWritten) {
  EXPECT_EQ(fixture("instance-2.json"), encode(instance()));
  EXPECT_EQ(decode_instance_record(fixture("instance-2.json")).take(), instance());
}

// A record of version 1 has only volumes as devices, and no image.
TEST(InstanceRecord, Version1IsRead) {
  InstanceRecord old = instance();
  old.image = {};
  old.devices.pop_back();
  EXPECT_EQ(decode_instance_record(fixture("instance.json")).take(), old);
  EXPECT_EQ(refusal(changed(fixture("instance.json"), {{"image", ""}})), ErrorCode::kCorrupt);
}

TEST(InstanceRecord, WhatIsWrittenIsRead) {
  InstanceRecord never_started = instance();
  never_started.process.reset();
  never_started.kernel = never_started.initrd = never_started.append = "";
  never_started.wish = InstanceWish::kTerminated;
  never_started.devices.pop_back();
  EXPECT_EQ(decode_instance_record(encode(never_started)).take(), never_started);
  EXPECT_EQ(decode_instance_record(with(Json::object())).take(), instance());
}

TEST(InstanceRecord, EveryTruncationAndEveryFlippedBitIsRefusedOrMeansTheSame) {
  const std::string text = encode(instance());
  for (std::size_t size = 0; size + 1 < text.size(); ++size)
    EXPECT_EQ(refusal(text.substr(0, size)), ErrorCode::kCorrupt) << size;
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto got = decode_instance_record(flipped);
    if (got.ok()) {
      EXPECT_EQ(got.value(), instance()) << bit;
    }
  }
}

TEST(InstanceRecord, EveryMemberIsNeededAndNoOtherIsTaken) {
  const Json body = Json::parse(encode(instance()));
  for (const auto& [key, value] : body.items()) {
    if (key == "checksum") continue;
    EXPECT_EQ(refusal(with({{key, nullptr}})), ErrorCode::kCorrupt) << key;
    EXPECT_EQ(refusal(with({{key, value.is_object() ? Json(1) : Json::object()}})), ErrorCode::kCorrupt)
        << key;
  }
  EXPECT_EQ(refusal(with({{"a_later_member", 1}})), ErrorCode::kCorrupt);
}

TEST(InstanceRecord, ImpossibleValuesAreDamage) {
  const auto device = [](const char* name, const char* volume) {
    return Json{{"device", name}, {"volume", volume}, {"file", ""}, {"delete_on_termination", true}};
  };
  const auto with_file = [&](const char* volume, const char* file) {
    Json one = device("/dev/sda", volume);
    one["file"] = file;
    return Json{{"devices", Json::array({one})}};
  };
  const char* const one = "vol-00000000000000001";
  const char* const two = "vol-00000000000000002";
  const std::vector<Json> changes = {
      {{"memory_bytes", 1}},
      {{"memory_bytes", (512 << 20) + 1}},
      {{"memory_bytes", -1}},
      {{"cpus", 0}},
      {{"cpus", (std::uint64_t{1} << 32U) + 1}},
      {{"wanted", "asleep"}},
      {{"id", "vol-00000000000000001"}},
      {{"id", "i-00000000000000000"}},
      {{"snapshot", ""}},
      {{"machine", "q35,usb=on"}},
      {{"accelerator", "hax"}},
      {{"network", "tap"}},
      {{"kernel", "boot/vmlinuz"}},
      {{"kernel", "ramdisk"}},
      {{"kernel", "../kernel"}},
      {{"initrd", "kernel"}},
      {{"kernel", ""}},
      {{"boot", "00"}},
      {{"pid", 0}},
      {{"version", 0}},
      {{"devices", Json::array()}},
      {{"devices", {7}}},
      {{"devices", {device("/dev/sda", one), device("/dev/sda", two)}}},
      {{"devices", {device("/dev/sda", one), device("/dev/sdb", one)}}},
      {{"devices", Json::array({device("sda", one)})}},
      {{"image", "snap-00000000000000001"}},
      with_file("", ""),
      with_file(one, "disk-sda.raw"),
      with_file("", "disk-sdb.raw"),
      with_file("", "../disk-sda.raw"),
      {{"devices", Json::array({device("/dev/s a", one)})}},
      {{"devices", Json::array({Json{{"device", Json::array({Json::array()})}}})}}};
  for (const Json& change : changes) EXPECT_EQ(refusal(with(change)), ErrorCode::kCorrupt) << change;
  EXPECT_EQ(refusal(with({{"version", 3}})), ErrorCode::kUnsupported);
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("null"), std::string(60000, '['),
        std::string(70000, ' '), std::string("{\"format\":\"\xff\"}")}) {
    EXPECT_EQ(refusal(text), ErrorCode::kCorrupt);
  }
}

TEST(InstanceRecord, AKernelOfTheImageIsAFileOfTheMachinesDirectory) {
  InstanceRecord record = instance();
  record.kernel = kKernelName;
  record.initrd = kRamdiskName;
  EXPECT_EQ(decode_instance_record(encode(record)).take(), record);
  EXPECT_EQ(boot_file_path("/there", record.kernel), "/there/kernel");
  EXPECT_EQ(boot_file_path("/there", record.initrd), "/there/ramdisk");
  EXPECT_EQ(boot_file_path("/there", "/boot/vmlinuz"), "/boot/vmlinuz");
  EXPECT_EQ(boot_file_path("/there", ""), "");
}

TEST(InstanceRecord, TextThatJsonCannotHoldIsRefusedBeforeItIsWritten) {
  InstanceRecord record = instance();
  record.name = "caf\xe9";
  EXPECT_EQ(check_limits(record).error().code(), ErrorCode::kInvalid);
  record = instance();
  record.kernel = "/boot/\xff";
  EXPECT_EQ(check_limits(record).error().code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace ashlar
