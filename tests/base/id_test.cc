#include "base/id.h"

#include <gtest/gtest.h>

#include <unordered_set>

#include "base/random.h"

namespace ashlar {
namespace {

TEST(Hex, GoesForthAndBack) {
  const BlockId id = random_id<BlockId>();
  EXPECT_EQ(id.hex().size(), 64U);
  EXPECT_EQ(BlockId::parse(id.hex()).take(), id);
  const std::byte bytes[] = {std::byte{0x00}, std::byte{0x1f}, std::byte{0xa0}, std::byte{0xff}};
  EXPECT_EQ(to_hex(bytes), "001fa0ff");
}

TEST(Hex, RefusesOtherLengthsAndDigits) {
  const std::string good = random_id<PackId>().hex();
  for (const std::string& text : {std::string(), good.substr(1), good + "0", "g" + good.substr(1),
                                  "A" + good.substr(1), " " + good.substr(1), std::string(32, '\0')}) {
    const auto parsed = PackId::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
  }
}

TEST(BinaryId, OrdersByItsBytesAndHashesByItsPrefix) {
  PackId low;
  PackId high;
  low.bytes[15] = std::byte{0xff};
  high.bytes[0] = std::byte{1};
  EXPECT_LT(low, high);
  EXPECT_TRUE(PackId{}.is_zero());
  EXPECT_FALSE(low.is_zero());
  EXPECT_EQ(IdHash{}(high), 1U);

  std::unordered_set<PackId, IdHash> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(random_id<PackId>());
  EXPECT_EQ(ids.size(), 1000U);
}

TEST(SnapshotId, IsWrittenAsEc2WritesIt) {
  const SnapshotId id{0x0123456789abcdefULL};
  EXPECT_EQ(id.text(), "snap-00123456789abcdef");
  EXPECT_EQ(SnapshotId::parse(id.text()).take(), id);
  EXPECT_EQ(SnapshotId::parse(SnapshotId{~0ULL}.text()).take().value, ~0ULL);
}

TEST(SnapshotId, RefusesEverythingElse) {
  for (const char* text : {"", "snap-", "snap-0123456789abcdef", "snap-10123456789abcdef",
                           "snap-00123456789abcdeff", "snap-00123456789ABCDEF", "Snap-00123456789abcdef",
                           "ami-000123456789abcdef", "snap-00123456789abcdeg", "snap-00123456789abcde\n"}) {
    const auto parsed = SnapshotId::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code(), ErrorCode::kInvalid);
  }
}

}  // namespace
}  // namespace ashlar
