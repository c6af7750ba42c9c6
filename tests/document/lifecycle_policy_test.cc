#include "document/lifecycle_policy.h"

#include <gtest/gtest.h>

#include "document/json_changes.h"
#include "document/json_fixture.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

LifecyclePolicy golden() {
  LifecyclePolicy policy;
  policy.name = "web.nightly";
  policy.owner = AccountId{123456789012};
  policy.id = lifecycle_policy_id(policy.owner, policy.name);
  policy.revision = 2;
  policy.created = UtcTime{1'763'693'760'000'000'000};
  policy.filters = {"name=tag:group,values=web", "name=name,values=nightly-*"};
  policy.deprecate = Retention{2, 0};
  policy.deregister = Retention{5, 30};
  policy.delete_snapshots = true;
  return policy;
}

ErrorCode refusal(const std::string& text) {
  const auto got = decode_lifecycle_policy(text);
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

TEST(LifecyclePolicy, TheFixtureIsReadAndStillWritten) {
  expect_fixture("lifecycle_policy.json", golden(), decode_lifecycle_policy);
}

TEST(LifecyclePolicy, DamageIsRefused) { expect_damage_is_refused(golden(), decode_lifecycle_policy); }

TEST(LifecyclePolicy, WhatMakesNoSenseIsRefused) {
  const std::string text = encode(golden());
  ASSERT_EQ(refusal(changed(text, Json::object())), ErrorCode::kCancelled);
  EXPECT_EQ(refusal(changed(text, {{"version", 2}})), ErrorCode::kUnsupported);
  for (const Json& change : std::vector<Json>{
           {{"name", "web"}},  // the id belongs to another name
           {{"owner", "000000000001"}},
           {{"revision", 0}},
           {{"filters", Json::array()}},
           {{"filters", {1}}},
           {{"deprecate", 1}},
           {{"deprecate", {{"keep_last", 1}}}},
           {{"deprecate", {{"keep_last", 0}, {"after_days", 0}}}},
           {{"deregister", {{"keep_last", 1}, {"after_days", 36501}}}},
           {{"delete_snapshots", "yes"}},
           {{"more", 1}},
       })
    EXPECT_EQ(refusal(changed(text, change)), ErrorCode::kCorrupt) << change;
  // A policy that deregisters no images must not ask for their snapshots to be deleted.
  EXPECT_EQ(refusal(changed(text, Json::parse(R"({"deregister": null})"))), ErrorCode::kCorrupt);
}

TEST(LifecyclePolicy, WhatAPersonWritesComesBackToBeEdited) {
  LifecyclePolicy policy = parse_lifecycle_policy(lifecycle_policy_text(golden())).take();
  EXPECT_EQ(lifecycle_policy_text(policy), lifecycle_policy_text(golden()));
  policy =
      parse_lifecycle_policy(R"({"name": "a", "filters": ["x"], "deprecate": {"after_days": 7}})").take();
  EXPECT_EQ(policy.deprecate, (Retention{0, 7}));
  EXPECT_FALSE(policy.deregister);
  EXPECT_FALSE(policy.delete_snapshots);
}

TEST(LifecyclePolicy, WhatAPersonGetsWrong) {
  const std::string fine = R"({"name": "a", "filters": ["x"], "deregister": {"keep_last": 1}})";
  ASSERT_TRUE(parse_lifecycle_policy(fine).ok());
  for (const char* text :
       {"", "[]", "{}", R"({"name": "", "filters": ["x"], "deregister": {"keep_last": 1}})",
        R"({"name": "a b", "filters": ["x"], "deregister": {"keep_last": 1}})",
        R"({"name": "a", "filters": [], "deregister": {"keep_last": 1}})",
        R"({"name": "a", "filters": ["x"]})", R"({"name": "a", "filters": ["x"], "deregister": {}})",
        R"({"name": "a", "filters": ["x"], "deregister": {"keep_last": -1}})",
        R"({"name": "a", "filters": ["x"], "deregister": {"keep_last": 1, "more": 1}})",
        R"({"name": "a", "filters": ["x"], "deregister": [[[[1]]]]})",
        R"({"name": "a", "filters": ["x"], "deprecate": {"keep_last": 1}, "delete_snapshots": true})"}) {
    const auto got = parse_lifecycle_policy(text);
    ASSERT_FALSE(got.ok()) << text;
    EXPECT_EQ(got.error().code(), ErrorCode::kInvalid) << text;
  }
}

TEST(LifecyclePolicy, TheMessageNamesThePlaceOfASyntaxError) {
  const auto said = [](const char* text) { return parse_lifecycle_policy(text).error().text(); };
  EXPECT_NE(said("{\"name\": \"a\",\n  filters}").find("JSON syntax error at line 2, column "),
            std::string::npos);
  EXPECT_NE(said("").find("line 1, column 1"), std::string::npos);
  EXPECT_NE(said(R"({"name": 1e999})").find("too large"), std::string::npos);
}

}  // namespace
}  // namespace ashlar
