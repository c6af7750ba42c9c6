#include "document/store_settings.h"

#include <gtest/gtest.h>

#include "document/json_changes.h"
#include "document/json_fixture.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

StoreSettings golden() {
  StoreSettings settings;
  settings.revision = 3;
  settings.bin_days = 30;
  settings.unsigned_images = UnsignedImages::kRefuse;
  PublicKey one{};
  one.fill(std::byte{0x11});
  PublicKey two{};
  two.fill(std::byte{0x22});
  settings.trusted_keys = {{one, "release"}, {two, ""}};
  return settings;
}

std::string with(const Json& changes) { return changed(encode(golden()), changes); }

ErrorCode refusal(const std::string& text) {
  const auto got = decode_store_settings(text);
  return got.ok() ? ErrorCode::kCancelled : got.error().code();
}

TEST(StoreSettings, TheFixtureIsReadAndStillWritten) {
  expect_fixture("settings.json", golden(), decode_store_settings);
}

TEST(StoreSettings, DamageIsRefused) {
  expect_damage_is_refused(golden(), decode_store_settings);
  const std::string key(64, '1');
  for (const Json& change : std::vector<Json>{
           {{"revision", 0}},
           {{"bin_days", 36501}},
           {{"bin_days", -1}},
           {{"unsigned_images", "maybe"}},
           {{"trusted_keys", nullptr}},
           {{"trusted_keys", Json::array({Json{{"key", key}}})}},
           {{"trusted_keys", Json::array({Json{{"key", "11"}, {"name", ""}}})}},
           {{"trusted_keys",
             Json::array({Json{{"key", key}, {"name", ""}}, Json{{"key", key}, {"name", ""}}})}},
           {{"later", 1}}}) {
    EXPECT_EQ(refusal(with(change)), ErrorCode::kCorrupt) << change;
  }
  EXPECT_EQ(refusal(with({{"version", 2}})), ErrorCode::kUnsupported);
}

// nlohmann's parser takes a zero byte for the end of its input.
TEST(StoreSettingsRecord, AZeroByteAnywhereIsDamage) {
  const std::string text = encode(StoreSettings{});
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string bad = text;
    bad[at] = '\0';
    EXPECT_FALSE(decode_store_settings(bad).ok()) << at;
  }
  EXPECT_FALSE(decode_store_settings(text + '\0').ok());
}

}  // namespace
}  // namespace ashlar
