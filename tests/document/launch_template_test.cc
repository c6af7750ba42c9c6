#include "document/launch_template.h"

#include <gtest/gtest.h>

#include "document/json_changes.h"
#include "document/json_fixture.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

LaunchTemplate golden() {
  LaunchTemplate record;
  record.name = "web/production";
  record.owner = AccountId{123456789012};
  record.id = launch_template_id(record.owner, record.name);
  record.revision = 4;
  record.created = UtcTime{1'763'693'760'000'000'000};
  record.default_version = 3;
  record.numbers_given = 4;
  TemplateVersion first;
  first.created = record.created;
  first.choices.source = "ami-01a2b3c4d5e6f7089";
  TemplateVersion third;
  third.number = 3;
  third.created = UtcTime{record.created.unix_ns + 1};
  third.description = "larger";
  third.choices = {"snap-0b6aeaee15313bc7c",
                   {"/dev/sda=,size=40G", "/dev/sdb=no-device"},
                   "web",
                   ByteCount{std::uint64_t{2} << 30U},
                   2,
                   ByteCount{std::uint64_t{40} << 30U},
                   "/boot/vmlinuz",
                   "/boot/initrd.img",
                   "root=/dev/vda",
                   "tcg",
                   "user",
                   true};
  record.versions = {first, third};
  return record;
}

ErrorCode refusal(const std::string& text) {
  const auto got = decode_launch_template(text);
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

ErrorCode refusal_with(const Json& changes) { return refusal(changed(encode(golden()), changes)); }

// Returns the golden versions with members of the last version, or of its choices, changed.
Json versions_with(const Json& version, const Json& choices) {
  Json versions = Json::parse(encode(golden()))["versions"];
  versions[1].update(version);
  versions[1]["choices"].update(choices);
  return {{"versions", versions}};
}

TEST(LaunchTemplate, TheFixtureIsReadAndStillWritten) {
  expect_fixture("launch_template.json", golden(), decode_launch_template);
}

TEST(LaunchTemplate, DamageIsRefused) { expect_damage_is_refused(golden(), decode_launch_template); }

TEST(LaunchTemplate, WhatMakesNoSenseIsRefused) {
  ASSERT_EQ(refusal_with(Json::object()), ErrorCode::kCancelled);
  EXPECT_EQ(refusal_with({{"version", 2}}), ErrorCode::kUnsupported);
  for (const Json& change : std::vector<Json>{
           {{"name", "web"}},  // the id belongs to another name
           {{"owner", "000000000001"}},
           {{"owner", nullptr}},
           {{"revision", 0}},
           {{"default_version", 2}},
           {{"default_version", 0}},
           {{"numbers_given", 2}},
           {{"versions", Json::array()}},
           {{"versions", "none"}},
           {{"more", 1}},
           versions_with({{"number", 1}}, Json::object()),
           versions_with({{"number", 5}}, Json::object()),
           versions_with({{"more", 1}}, Json::object()),
           versions_with({{"description", std::string(256, 'x')}}, Json::object()),
           versions_with(Json::object(), {{"source", "vol-01a2b3c4d5e6f7089"}}),
           versions_with(Json::object(), {{"mappings", {"/dev/sda=,size=1G", "/dev/sda=no-device"}}}),
           versions_with(Json::object(), {{"mappings", {"=no-device"}}}),
           versions_with(Json::object(), {{"mappings", {1}}}),
           versions_with(Json::object(), {{"cpus", 257}}),
           versions_with(Json::object(), {{"memory_bytes", 1}}),
           versions_with(Json::object(), {{"kernel", "vmlinuz"}}),
           versions_with(Json::object(), {{"kernel", "kernel"}}),
           versions_with(Json::object(), {{"accelerator", "hvf"}}),
           versions_with(Json::object(), {{"network", "bridge"}}),
           versions_with(Json::object(), {{"keep_volumes", 1}}),
       })
    EXPECT_EQ(refusal_with(change), ErrorCode::kCorrupt) << change;
}

TEST(LaunchTemplate, NamesAreThoseOfEc2) {
  for (const char* name : {"web", "a.b/c-d_e(1)"}) EXPECT_TRUE(check_template_name(name).ok()) << name;
  for (const std::string& name :
       {std::string("ab"), std::string("a b c"), std::string("web:1"), std::string(129, 'a')})
    EXPECT_FALSE(check_template_name(name).ok()) << name;
}

TEST(LaunchTemplate, ItsIdIsMadeOfItsOwnerAndItsName) {
  const LaunchTemplateId id = launch_template_id(AccountId{1}, "web");
  EXPECT_EQ(id, launch_template_id(AccountId{1}, "web"));
  EXPECT_NE(id, launch_template_id(AccountId{2}, "web"));
  EXPECT_NE(id, launch_template_id(AccountId{1}, "wet"));
}

TEST(LaunchTemplate, ChangesTakeThePlaceOfWhatTheyState) {
  const LaunchChoices base = golden().versions[1].choices;
  EXPECT_EQ(merged(base, {}), base);
  EXPECT_EQ(merged({}, base), base);
  LaunchChoices changes;
  changes.cpus = 8;
  changes.mappings = {"/dev/sdc=ephemeral0", "/dev/sdb=ephemeral1"};
  LaunchChoices expected = base;
  expected.cpus = 8;
  expected.mappings = {"/dev/sda=,size=40G", "/dev/sdb=ephemeral1", "/dev/sdc=ephemeral0"};
  EXPECT_EQ(merged(base, changes), expected);
}

}  // namespace
}  // namespace ashlar
