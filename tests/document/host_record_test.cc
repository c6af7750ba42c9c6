// Tests of host records: what is written is read, and damage is refused.
#include "document/host_record.h"

#include <gtest/gtest.h>

#include "document/json_changes.h"
#include "document/json_fixture.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

HostRecord golden() {
  HostRecord record;
  record.host = HostId{{std::byte{0x01}, std::byte{0x23}, std::byte{0x45}}};
  record.store = StoreId{{std::byte{0xfe}, std::byte{0xdc}}};
  record.file_system = "6d1f8a0c3c4e4bb7a7b40d7d2a9f5e11";
  record.inode = 1311768467463790320;
  record.directory = "/backup/caf\xc3\xa9";
  return record;
}

ErrorCode refusal_with(const Json& changes) {
  const auto got = decode_host_record(changed(encode(golden()), changes));
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

TEST(HostRecord, TheFixtureIsReadAndStillWritten) {
  expect_fixture("host.json", golden(), decode_host_record);
}

TEST(HostRecord, DamageIsRefused) { expect_damage_is_refused(golden(), decode_host_record); }

TEST(HostRecord, EveryMemberIsNeededAndNoOtherIsTaken) {
  const Json body = Json::parse(encode(golden()));
  for (const auto& [key, value] : body.items()) {
    if (key == "checksum") continue;
    EXPECT_EQ(refusal_with({{key, nullptr}}), ErrorCode::kCorrupt) << key;
    EXPECT_EQ(refusal_with({{key, value.is_object() ? Json(1) : Json::object()}}), ErrorCode::kCorrupt)
        << key;
  }
  EXPECT_EQ(refusal_with({{"a_later_member", 1}}), ErrorCode::kCorrupt);
  EXPECT_EQ(refusal_with({{"version", kHostVersion + 1}}), ErrorCode::kUnsupported);
}

TEST(HostRecord, ImpossibleValuesAreDamage) {
  const std::vector<Json> changes = {{{"host", ""}},
                                     {{"host", "0123"}},
                                     {{"store", "not hexadecimal"}},
                                     {{"inode", -1}},
                                     {{"inode", "7"}},
                                     {{"directory", std::string(5000, 'x')}},
                                     {{"file_system", std::string(5000, 'x')}}};
  for (const Json& change : changes) EXPECT_EQ(refusal_with(change), ErrorCode::kCorrupt) << change;
}

}  // namespace
}  // namespace ashlar
