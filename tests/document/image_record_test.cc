// Tests of image records: what is written is read, what version 1 wrote stays readable, and damage is
// refused.
#include "document/image_record.h"

#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>

#include "document/golden_image.h"
#include "document/json_changes.h"
#include "document/json_fixture.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

std::string with(const Json& changes) { return changed(encode(golden::image()), changes); }

ErrorCode refusal(const std::string& text) {
  const auto got = decode_image_record(text);
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

ImageRecord plain() {
  ImageRecord record;
  record.id = ImageId{1};
  record.owner = AccountId{1};
  record.name = "abc";
  record.root_device = "/dev/sda";
  record.devices.resize(1);
  record.devices[0].name = "/dev/sda";
  record.devices[0].content = golden::content_of(1, 4096);
  record.devices[0].size = ByteCount{4096};
  return record;
}

TEST(ImageRecord, TheFixtureIsReadAndStillWritten) {
  std::ifstream in(ASHLAR_FIXTURES "/formats/image.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(text, encode(golden::image()));
  EXPECT_EQ(decode_image_record(text).take(), golden::image());
}

TEST(ImageRecord, WhatIsWrittenIsRead) {
  EXPECT_EQ(decode_image_record(encode(plain())).take(), plain());
  EXPECT_EQ(decode_image_record(with(Json::object())).take(), golden::image());
  ImageRecord pending = plain();
  pending.state = ImageState::kPending;
  pending.session.bytes.fill(std::byte{1});
  EXPECT_EQ(decode_image_record(encode(pending)).take(), pending);
  ImageRecord purged = plain();
  purged.state = ImageState::kPurged;
  EXPECT_NE(encode(purged).find("\"state\": \"purged\""), std::string::npos) << encode(purged);
  EXPECT_EQ(decode_image_record(encode(purged)).take(), purged);
}

TEST(ImageRecord, EveryTruncationAndEveryFlippedBitIsDamage) {
  expect_damage_is_refused(golden::image(), decode_image_record);
}

TEST(ImageRecord, EveryMemberIsNeededAndNoOtherIsTaken) {
  const Json body = Json::parse(encode(golden::image()));
  for (const auto& [key, value] : body.items()) {
    if (key == "checksum") continue;
    EXPECT_EQ(refusal(with({{key, nullptr}})), ErrorCode::kCorrupt) << key;
    EXPECT_EQ(refusal(with({{key, value.is_object() ? Json(1) : Json{{"x", 1}}}})), ErrorCode::kCorrupt)
        << key;
  }
  EXPECT_EQ(refusal(with({{"a_later_member", 1}})), ErrorCode::kCorrupt);
  for (const char* list : {"devices", "signatures"}) {
    for (const auto& [key, value] : body[list][0].items()) {
      Json changed_list = body[list];
      changed_list[0].erase(key);
      EXPECT_EQ(refusal(with({{list, changed_list}})), ErrorCode::kCorrupt) << list << key;
      changed_list = body[list];
      changed_list[0][key] = Json::array();
      EXPECT_EQ(refusal(with({{list, changed_list}})), ErrorCode::kCorrupt) << list << key;
    }
    Json more = body[list];
    more[0]["a_later_member"] = 1;
    EXPECT_EQ(refusal(with({{list, more}})), ErrorCode::kCorrupt) << list;
  }
}

TEST(ImageRecord, ImpossibleValuesAreDamage) {
  const std::vector<Json> changes = {{{"id", "ami-00000000000000000"}},
                                     {{"id", "snap-00000000000000001"}},
                                     {{"revision", 0}},
                                     {{"owner", "000000000000"}},
                                     {{"owner", "12345678901"}},
                                     {{"owner", "12345678901a"}},
                                     {{"name", "ab"}},
                                     {{"name", std::string(129, 'a')}},
                                     {{"name", "a;b"}},
                                     {{"name", "caf\xc3\xa9"}},
                                     {{"description", std::string(256, 'a')}},
                                     {{"architecture", "vax"}},
                                     {{"root_device", "/dev/sdb"}},
                                     {{"root_device", ""}},
                                     {{"root_device_type", "nfs"}},
                                     {{"devices", Json::array()}},
                                     {{"virtualization", "xen"}},
                                     {{"boot_mode", "bios"}},
                                     {{"sriov_net_support", "yes"}},
                                     {{"tpm_support", "v1.2"}},
                                     {{"platform", "linux"}},
                                     {{"kernel", nullptr}},
                                     {{"consistency", "good"}},
                                     {{"source_image", "ami-1"}},
                                     {{"source_store", "00"}},
                                     {{"state", "gone"}},
                                     {{"state", "available"}},
                                     {{"state", "pending"}},
                                     {{"state", "purged"}},
                                     {{"former_state", "purged"}},
                                     {{"session", std::string(32, '0')}},
                                     {{"deprecated_unix_ns", -1}},
                                     {{"deprecated_unix_ns", "soon"}},
                                     {{"shared_with", {"000000000002", "000000000001"}}},
                                     {{"shared_with", {"000000000001", "000000000001"}}},
                                     {{"shared_with", {7}}},
                                     {{"tags", {{"", "x"}}}},
                                     {{"tags", {{"a", 1}}}},
                                     {{"tags", {{"aws:x", "y"}}}},
                                     {{"version", 0}}};
  for (const Json& change : changes) EXPECT_EQ(refusal(with(change)), ErrorCode::kCorrupt) << change;
  EXPECT_EQ(refusal(with({{"version", 2}})), ErrorCode::kUnsupported);
  EXPECT_EQ(refusal(with({{"key", "7"}})), ErrorCode::kCorrupt) << "a key of what is not encrypted";
  EXPECT_EQ(refusal(with({{"encrypted", "no"}})), ErrorCode::kCorrupt);
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("null"), std::string(60000, '['),
        std::string(kMaxImageRecordBytes + 1, ' '), std::string("{\"format\":\"\xff\"}")}) {
    EXPECT_EQ(refusal(text), ErrorCode::kCorrupt);
  }
}

TEST(ImageRecord, AnEncryptedImageIsUnsupportedAndNotDamage) {
  const auto encrypted = decode_image_record(with({{"encrypted", true}, {"key", "alias/backup"}}));
  EXPECT_TRUE(is(encrypted, ErrorCode::kUnsupported));
  EXPECT_EQ(encrypted.error().text(), "image record: encrypted, and this program can't decrypt");
  Json devices = Json::parse(encode(golden::image()))["devices"];
  devices[0]["encrypted"] = true;
  EXPECT_TRUE(is(decode_image_record(with({{"devices", devices}})), ErrorCode::kUnsupported));
}

TEST(ImageRecord, LimitsNameWhatIsWrong) {
  const auto says = [](const std::function<void(ImageRecord&)>& change) {
    ImageRecord record = plain();
    EXPECT_TRUE(check_limits(record).ok());
    change(record);
    const Status status = check_limits(record);
    return status.ok() ? std::string("ok") : status.error().text();
  };
  EXPECT_EQ(says([](ImageRecord& r) { r.devices[0].size = ByteCount{1}; }),
            "/dev/sda: 1 bytes are less than its snapshot's 4096");
  EXPECT_EQ(says([](ImageRecord& r) { r.devices.push_back(r.devices[0]); }),
            "/dev/sda is given twice or out of order");
  EXPECT_EQ(says([](ImageRecord& r) { r.devices[0].content.snapshot = {}; }), "/dev/sda has no snapshot");
  EXPECT_EQ(says([](ImageRecord& r) { r.boot.command_line = "quiet"; }),
            "a RAM disk or a kernel command line needs a kernel");
  EXPECT_EQ(says([](ImageRecord& r) { r.tags["aws:cloud"] = "1"; }),
            "tags that begin with 'aws:' are reserved");
  EXPECT_EQ(says([](ImageRecord& r) {
              for (std::uint64_t i = 1; i <= kMaxLaunchPermissions + 1; ++i)
                r.shared_with.insert(AccountId{i});
            }),
            "an image is shared with at most 1000 accounts");
  EXPECT_EQ(says([](ImageRecord& r) {
              r.devices.push_back({});
              r.devices[1].name = "/dev/sdb";
              r.devices[1].kind = ImageDevice::Kind::kNone;
              r.devices[1].iops = 3;
            }),
            "/dev/sdb: only a snapshot has a volume type, iops, throughput and deletion on termination");
  EXPECT_EQ(says([](ImageRecord& r) {
              for (const char* name : {"/dev/sdb", "/dev/sdc"}) {
                ImageDevice blank;
                blank.name = name;
                blank.kind = ImageDevice::Kind::kEphemeral;
                blank.size = ByteCount{1};
                r.devices.push_back(blank);
              }
            }),
            "ephemeral0 is given twice");
}

// A copy in another store, with another name and owner, and shared and tagged differently, counts as the same
// image.
TEST(ImageRecord, ACopyHasTheSameDigestAndStatement) {
  const ImageRecord original = golden::image();
  ImageRecord copy = original;
  copy.id = ImageId{5};
  copy.store = {};
  copy.name = "another";
  copy.description = "";
  copy.owner = AccountId{2};
  copy.created = {};
  copy.state = ImageState::kAvailable;
  copy.deregistered.reset();
  copy.is_public = false;
  copy.shared_with.clear();
  copy.tags.clear();
  copy.devices[0].content.snapshot = SnapshotId{0x4444};
  copy.boot.kernel->snapshot = SnapshotId{0x4445};
  EXPECT_EQ(image_digest(copy), image_digest(original));
  EXPECT_EQ(signed_statement(copy, original.signatures[0]),
            signed_statement(original, original.signatures[0]));
}

TEST(ImageRecord, WhateverDecidesWhatBootsIsInTheStatement) {
  const ImageSignature by = golden::image().signatures[0];
  const std::vector<std::function<void(ImageRecord&)>> changes = {
      [](ImageRecord& r) { r.architecture = Architecture::kX8664; },
      [](ImageRecord& r) { r.root_device = "/dev/sdb"; },
      [](ImageRecord& r) { r.root_device_type = RootDeviceType::kEbs; },
      [](ImageRecord& r) { r.virtualization = VirtualizationType::kHvm; },
      [](ImageRecord& r) { r.boot_mode = BootMode::kUefi; },
      [](ImageRecord& r) { r.ena_support = false; },
      [](ImageRecord& r) { r.sriov_net_support = ""; },
      [](ImageRecord& r) { r.tpm_support = ""; },
      [](ImageRecord& r) { r.imds_support = ""; },
      [](ImageRecord& r) { r.platform = ""; },
      [](ImageRecord& r) { r.consistency = ImageConsistency::kPaused; },
      [](ImageRecord& r) { r.boot.kernel->digest.bytes[31] = std::byte{0}; },
      [](ImageRecord& r) { r.boot.ramdisk.reset(); },
      [](ImageRecord& r) { r.boot.command_line += " init=/bin/sh"; },
      [](ImageRecord& r) { r.devices[0].name = "/dev/sd0"; },
      [](ImageRecord& r) { r.devices[0].content.digest.bytes[0] = std::byte{0}; },
      [](ImageRecord& r) { r.devices[0].content.size = ByteCount{4999}; },
      [](ImageRecord& r) { r.devices[0].size = ByteCount{1}; },
      [](ImageRecord& r) { r.devices[0].volume_type = VolumeType::kGp3; },
      [](ImageRecord& r) { r.devices[0].iops = 1; },
      [](ImageRecord& r) { r.devices[0].throughput = 1; },
      [](ImageRecord& r) { r.devices[0].delete_on_termination = true; },
      [](ImageRecord& r) { r.devices[1].ephemeral = 2; },
      [](ImageRecord& r) { r.devices.pop_back(); }};
  const ByteVector whole = signed_statement(golden::image(), by);
  for (std::size_t i = 0; i < changes.size(); ++i) {
    ImageRecord record = golden::image();
    changes[i](record);
    EXPECT_NE(signed_statement(record, by), whole) << i;
  }
  ImageSignature renamed = by;
  renamed.name = "db-1.4";
  EXPECT_NE(signed_statement(golden::image(), renamed), whole);
}

TEST(ImageRecord, AccountsAreTwelveDigits) {
  EXPECT_EQ(AccountId{7}.text(), "000000000007");
  EXPECT_EQ(AccountId::parse("123456789012").take().value, 123456789012U);
  for (const char* text :
       {"", "0", "000000000000", "12345678901", "1234567890123", "12345678901x", "-12345678901"})
    EXPECT_FALSE(AccountId::parse(text).ok()) << text;
  StoreId store;
  for (int byte = 0; byte < 256; ++byte) {
    store.bytes.fill(static_cast<std::byte>(byte));
    const AccountId account = AccountId::of_store(store);
    EXPECT_EQ(AccountId::parse(account.text()).take(), account);
    EXPECT_NE(account.text().front(), '0');
  }
}

}  // namespace
}  // namespace ashlar
