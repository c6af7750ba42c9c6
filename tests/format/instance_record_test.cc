// Records of machines: what is written is read, what version 1 wrote stays readable, and damage is refused.
#include "format/instance_record.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/random.h"
#include "codec/hash.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

InstanceRecord golden() {
  InstanceRecord record;
  record.id = InstanceId{0x1122334455667788};
  record.name = "web, the first \xc3\xa9";
  record.created.unix_ns = 1795228800123456789;
  record.wish = InstanceWish::kStopped;
  record.snapshot = SnapshotId{7};
  record.memory = ByteCount{std::uint64_t{512} << 20U};
  record.cpus = 2;
  record.accelerator = "tcg";
  record.network = "user";
  record.kernel = "/boot/vmlinuz";
  record.initrd = "/boot/initrd.img";
  record.append = "root=/dev/vda console=ttyS0";
  record.devices = {{"/dev/sda", VolumeId{9}, true}, {"/dev/sdb", VolumeId{10}, false}};
  record.process = InstanceProcess{{std::byte{1}, std::byte{2}}, 4711, 123456};
  return record;
}

// The golden text with members changed (null: taken out) and the checksum made right again.
std::string with(const Json& changes) {
  Json body = Json::parse(encode(golden()));
  for (const auto& [key, value] : changes.items()) {
    if (value.is_null()) {
      body.erase(key);
    } else {
      body[key] = value;
    }
  }
  body.erase("checksum");
  const std::uint64_t sum = checksum64(as_byte_span(body.dump()));
  std::string digits(16, '0');
  for (std::size_t i = 0; i < 16; ++i) digits[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15U];
  body["checksum"] = digits;
  return body.dump();
}

ErrorCode refusal(const std::string& text) {
  const auto got = decode_instance_record(text);
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

TEST(InstanceRecord, TheFixtureIsReadAndStillWritten) {
  std::ifstream in(ASHLAR_FIXTURES "/format-v1/instance.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(text, encode(golden()));
  EXPECT_EQ(decode_instance_record(text).take(), golden());
}

TEST(InstanceRecord, WhatIsWrittenIsRead) {
  InstanceRecord never_started = golden();
  never_started.process.reset();
  never_started.kernel = never_started.initrd = never_started.append = "";
  never_started.wish = InstanceWish::kTerminated;
  never_started.devices.pop_back();
  EXPECT_EQ(decode_instance_record(encode(never_started)).take(), never_started);
  EXPECT_EQ(decode_instance_record(with(Json::object())).take(), golden());
}

TEST(InstanceRecord, EveryTruncationAndEveryFlippedBitIsRefusedOrMeansTheSame) {
  const std::string text = encode(golden());
  for (std::size_t size = 0; size + 1 < text.size(); ++size)
    EXPECT_EQ(refusal(text.substr(0, size)), ErrorCode::kCorrupt) << size;
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto got = decode_instance_record(flipped);
    if (got.ok()) {
      EXPECT_EQ(got.value(), golden()) << bit;
    }
  }
}

TEST(InstanceRecord, EveryMemberIsNeededAndNoOtherIsTaken) {
  const Json body = Json::parse(encode(golden()));
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
    return Json{{"device", name}, {"volume", volume}, {"delete_on_termination", true}};
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
      {{"kernel", ""}},
      {{"boot", "00"}},
      {{"pid", 0}},
      {{"version", 0}},
      {{"devices", Json::array()}},
      {{"devices", {7}}},
      {{"devices", {device("/dev/sda", one), device("/dev/sda", two)}}},
      {{"devices", {device("/dev/sda", one), device("/dev/sdb", one)}}},
      {{"devices", {device("sda", one)}}},
      {{"devices", {device("/dev/s a", one)}}},
      {{"devices", Json::array({Json{{"device", Json::array({Json::array()})}}})}}};
  for (const Json& change : changes) EXPECT_EQ(refusal(with(change)), ErrorCode::kCorrupt) << change;
  EXPECT_EQ(refusal(with({{"version", 2}})), ErrorCode::kUnsupported);
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("null"), std::string(60000, '['),
        std::string(70000, ' '), std::string("{\"format\":\"\xff\"}")}) {
    EXPECT_EQ(refusal(text), ErrorCode::kCorrupt);
  }
}

TEST(InstanceRecord, TextThatJsonCannotHoldIsRefusedBeforeItIsWritten) {
  InstanceRecord record = golden();
  record.name = "caf\xe9";
  EXPECT_EQ(check_limits(record).error().code(), ErrorCode::kInvalid);
  record = golden();
  record.kernel = "/boot/\xff";
  EXPECT_EQ(check_limits(record).error().code(), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace ashlar
