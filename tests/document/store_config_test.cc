// Tests of ashlar.json: damage is found, and newer and foreign stores are refused with a message that says
// what to do.
#include "document/store_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "codec/hash.h"
#include "format/golden.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;

// Returns the golden text with members changed and the checksum made right again.
std::string with(const Json& changes) {
  Json body = Json::parse(encode(golden::store_config()));
  body.update(changes);
  body.erase("checksum");
  const ByteVector sum = [&] {
    const std::uint64_t value = checksum64(as_byte_span(body.dump()));
    ByteVector big_endian;
    for (int shift = 56; shift >= 0; shift -= 8) big_endian.push_back(static_cast<std::byte>(value >> shift));
    return big_endian;
  }();
  body["checksum"] = to_hex(sum);
  return body.dump();
}

Error refused(const std::string& text) {
  auto got = decode_store_config(text);
  if (got.ok()) return {ErrorCode::kCancelled, "accepted"};
  return got.take_error();
}

TEST(StoreConfig, AnyLayoutOfTheSameMembersIsRead) {
  EXPECT_EQ(decode_store_config(with(Json::object())).take(), golden::store_config());
  EXPECT_TRUE(decode_store_config(with({{"a_later_member", "hello"}})).ok())
      << "unknown members are passed over";
}

TEST(StoreConfig, EveryTruncationAndEveryFlippedBitIsDamage) {
  const std::string text = encode(golden::store_config());
  for (std::size_t size = 0; size + 1 < text.size(); ++size) {  // the last byte is a newline
    EXPECT_EQ(refused(text.substr(0, size)).code(), ErrorCode::kCorrupt) << size;
  }
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(refused(flipped).code(), ErrorCode::kCorrupt) << "bit " << bit;
  }
}

TEST(StoreConfig, ANewerStoreIsRefusedClearly) {
  const Error error = refused(with({{"version", 3}}));
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_NE(error.text().find("use a newer ashlar"), std::string::npos) << error.text();
  EXPECT_EQ(refused(with({{"version", 0}})).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(with({{"version", 1}})).code(), ErrorCode::kCorrupt);
}

TEST(StoreConfig, FeaturesThatThisProgramDoesNotKnowAreRefused) {
  EXPECT_EQ(refused(with({{"hash", "blake3"}})).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(refused(with({{"encryption", "aes-256-gcm"}})).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(refused(with({{"block_bytes", 8192}})).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(refused(with({{"segment_blocks", 2048}})).code(), ErrorCode::kUnsupported);
}

TEST(StoreConfig, AFeatureThatIsNeededToReadClosesTheStore) {
  const Error error = refused(with({{"features_to_read", {"compact-leaves", "domains"}}}));
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_NE(error.text().find("'compact-leaves'"), std::string::npos) << error.text();
  EXPECT_NE(error.text().find("use a newer ashlar"), std::string::npos) << error.text();
  // Such a store may differ in anything else.
  EXPECT_EQ(refused(with({{"features_to_read", {"x"}}, {"hash", 7}})).code(), ErrorCode::kUnsupported);
}

TEST(StoreConfig, AFeatureThatIsNeededToWriteKeepsWritersOut) {
  EXPECT_TRUE(check_writable(golden::store_config()).ok());
  const auto config = decode_store_config(with({{"features_to_write", {"inventory", "second"}}}));
  ASSERT_TRUE(config.ok()) << config.error().text();
  const Status writable = check_writable(config.value());
  ASSERT_FALSE(writable.ok());
  EXPECT_EQ(writable.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(writable.error().text().find("'inventory'"), std::string::npos) << writable.error().text();
  EXPECT_NE(writable.error().text().find("use a newer ashlar"), std::string::npos);
}

TEST(StoreConfig, ListsOfFeaturesThatNoWriterWritesAreDamage) {
  const std::vector<Json> lists = {Json(),
                                   Json("word"),
                                   Json::array({7}),
                                   Json::array({""}),
                                   {"b", "a"},
                                   {"a", "a"},
                                   {"two words"},
                                   {"line\n"},
                                   {"Capital"},
                                   {std::string(65, 'a')},
                                   Json::array({Json::array()})};
  for (const char* key : {"features_to_read", "features_to_write"}) {
    for (const Json& list : lists)
      EXPECT_EQ(refused(with({{key, list}})).code(), ErrorCode::kCorrupt) << key << list;
  }
  EXPECT_EQ(refused(with({{"another_list", Json::array()}})).code(), ErrorCode::kCorrupt);
}

TEST(StoreConfig, NumbersThatDoNotFitAreDamage) {
  const std::vector<Json> changes = {{{"frame_blocks", 0}},
                                     {{"frame_blocks", 65}},
                                     {{"frame_blocks", (std::uint64_t{1} << 32U) + 16}},
                                     {{"frame_blocks", -16}},
                                     {{"frame_blocks", 16.0}},
                                     {{"zstd_level", 1000}},
                                     {{"zstd_level", -1000}},
                                     {{"created_unix_ns", -1}},
                                     {{"version", -1}},
                                     {{"version", "1"}},
                                     {{"store_id", "00"}},
                                     {{"store_id", 7}},
                                     {{"region_secret", "xx"}},
                                     {{"hook_rate", 0}},
                                     {{"hook_rate", 48}},
                                     {{"hook_rate", 8192}},
                                     {{"hook_rate", -64}},
                                     {{"hook_rate", "64"}},
                                     {{"revision", 0}},
                                     {{"revision", "1"}},
                                     {{"region_secret", std::string(62, '0')}}};
  for (const Json& change : changes) EXPECT_EQ(refused(with(change)).code(), ErrorCode::kCorrupt) << change;
}

TEST(StoreConfig, NestingCannotChooseOurStackDepth) {
  constexpr std::size_t depth = 30000;
  const std::string nested = R"({"format":"ashlar store","version":2,"checksum":"0","features_to_read":)" +
                             std::string(depth, '[') + std::string(depth, ']') + "}";
  ASSERT_LT(nested.size(), kMaxStoreConfigBytes);
  EXPECT_EQ(refused(nested).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(refused(std::string(kMaxStoreConfigBytes, '[')).code(), ErrorCode::kCorrupt);
}

TEST(StoreConfig, WhatIsNoStoreIsRefused) {
  for (const char* text :
       {"", "{}", "[]", "null", "7", "\"ashlar store\"", R"({"format":"other","version":1})",
        R"({"format":"ashlar store"})", "\xff\xfe", "{\"format\":\"\xff\"}"}) {
    EXPECT_EQ(refused(text).code(), ErrorCode::kCorrupt) << text;
  }
}

}  // namespace
}  // namespace ashlar
