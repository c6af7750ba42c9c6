// Tests of damage records: refusals of bytes with a right checksum that no writer writes, and the comparison
// and union of findings.
#include "format/damage_record.h"

#include <gtest/gtest.h>

#include "codec/hash.h"
#include "format/cursor.h"
#include "format/golden.h"

namespace ashlar {
namespace {

constexpr std::size_t kKindAt = 10;
constexpr std::size_t kFlagsAt = 11;
constexpr std::size_t kCountAt = 12;
constexpr std::size_t kRevisionAt = 16;
constexpr std::size_t kEntriesAt = 72;

// Returns the code with which the golden bytes are refused after a change; kInvalid when they are accepted.
ErrorCode code_after(ByteVector bytes, const std::function<void(ByteVector&)>& change) {
  bytes.resize(bytes.size() - 8);
  change(bytes);
  ByteWriter sealed;
  sealed.bytes(bytes);
  sealed.u64(checksum64(sealed.span()));
  const auto got = decode_damage_record(sealed.span());
  return got.ok() ? ErrorCode::kInvalid : got.error().code();
}
ErrorCode code_of_byte(std::size_t at, unsigned value) {
  return code_after(encode(golden::damage()), [&](ByteVector& b) { b[at] = static_cast<std::byte>(value); });
}

TEST(DamageRecords, WhatNoWriterWritesIsRefused) {
  EXPECT_EQ(code_after(encode(golden::damage()), [](ByteVector&) {}), ErrorCode::kInvalid) << "unchanged";
  EXPECT_EQ(code_of_byte(kKindAt, 3), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of_byte(kFlagsAt, 2), ErrorCode::kCorrupt) << "given up, but not damaged";
  EXPECT_EQ(code_of_byte(kFlagsAt, 4), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of_byte(kCountAt, 1), ErrorCode::kCorrupt) << "bytes are left";
  EXPECT_EQ(code_of_byte(kCountAt, 3), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of_byte(kCountAt + 3, 255), ErrorCode::kCorrupt) << "allocates nothing for four billion";
  EXPECT_EQ(code_of_byte(kRevisionAt, 0), ErrorCode::kCorrupt) << "revision 0";
  EXPECT_EQ(code_of_byte(8, kDamageVersion + 1), ErrorCode::kUnsupported);
}

TEST(DamageRecords, SetsOfFramesAreAsShortAsTheyCanBe) {
  const std::size_t set = kEntriesAt + SegmentId::kBytes;
  EXPECT_EQ(code_of_byte(set, 0), ErrorCode::kCorrupt) << "an empty set";
  EXPECT_EQ(code_of_byte(set, 129), ErrorCode::kCorrupt) << "more frames than a segment has";
  EXPECT_EQ(code_of_byte(set + 2, 0), ErrorCode::kCorrupt) << "a zero byte at the end";
  EXPECT_EQ(code_of_byte(set + 3, 4), ErrorCode::kCorrupt) << "frame 2 is lost, but not damaged";
}

TEST(DamageRecords, EntriesAreInOrder) {
  EXPECT_EQ(code_of_byte(kEntriesAt, 0xff), ErrorCode::kCorrupt);
  const ByteVector meta = encode(golden::meta_damage());
  const auto with = [&](std::size_t at, unsigned value) {
    return code_after(meta, [&](ByteVector& b) { b[at] = static_cast<std::byte>(value); });
  };
  EXPECT_EQ(with(kEntriesAt, 0xff), ErrorCode::kCorrupt);
  EXPECT_EQ(with(kEntriesAt + NodeId::kBytes, 0), ErrorCode::kCorrupt);
  EXPECT_EQ(with(kEntriesAt + NodeId::kBytes, 3), ErrorCode::kCorrupt);
}

TEST(DamageRecords, MoreIsWhatTheOtherDoesNotName) {
  const DamageRecord golden = golden::damage();
  EXPECT_FALSE(has_more(golden, golden));
  EXPECT_TRUE(has_more(golden, DamageRecord()));
  EXPECT_FALSE(has_more(DamageRecord(), golden));
  DamageRecord more = golden;
  more.segments.begin()->second.damaged[100] = true;
  EXPECT_TRUE(has_more(more, golden));
  EXPECT_FALSE(has_more(golden, more));
  more = golden;
  more.segments.begin()->second.lost[0] = true;
  EXPECT_TRUE(has_more(more, golden));
  more = golden;
  more.is_whole = true;
  EXPECT_TRUE(has_more(more, golden));
  DamageRecord meta = golden::meta_damage();
  meta.nodes.begin()->second = NodeDamage::kLost;
  EXPECT_TRUE(has_more(meta, golden::meta_damage()));
  EXPECT_FALSE(has_more(golden::meta_damage(), meta));
}

TEST(DamageRecords, FindingsAddUp) {
  DamageRecord one = golden::damage();
  DamageRecord other = golden::damage();
  other.segments.begin()->second.damaged.reset();
  other.segments.begin()->second.lost.reset();
  other.segments.begin()->second.damaged[5] = true;
  other.segments[SegmentId{}].damaged[3] = true;
  add_findings(one, other);
  EXPECT_EQ(one.segments.size(), 3U);
  EXPECT_FALSE(has_more(other, one));
  EXPECT_FALSE(has_more(golden::damage(), one));
  DamageRecord meta = golden::meta_damage();
  DamageRecord found = meta;
  for (auto& [id, state] : found.nodes) state = NodeDamage::kDamaged;
  add_findings(meta, found);
  EXPECT_EQ(meta, golden::meta_damage()) << "what is lost stays lost";
}

}  // namespace
}  // namespace ashlar
