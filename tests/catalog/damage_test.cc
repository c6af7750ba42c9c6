// Tests of the records of damage: findings add up, also those of two writers at once, and no change is lost.
#include "catalog/damage.h"

#include "catalog/records.h"
#include "codec/hash.h"
#include "support/forwarding_objects.h"

namespace ashlar {
namespace {

PackId pack_number(std::uint8_t number) {
  PackId pack;
  pack.bytes.fill(std::byte{number});
  return pack;
}
SegmentId segment_number(std::uint8_t number) {
  SegmentId segment;
  segment.bytes.fill(std::byte{number});
  return segment;
}
DamageRecord frame_of_pack(std::uint8_t pack, std::uint8_t segment, std::size_t frame) {
  DamageRecord record;
  record.pack = pack_number(pack);
  record.segments[segment_number(segment)].damaged[frame] = true;
  return record;
}

// Calls `before` in front of each change.
class WatchedChanges : public ForwardingObjects {
 public:
  WatchedChanges(ObjectStore& inner, std::function<void()> before)
      : ForwardingObjects(inner), before_(std::move(before)) {}
  Status put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) override {
    before_();
    return ForwardingObjects::put_if_absent(key, bytes, lasts);
  }
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    before_();
    return ForwardingObjects::replace(key, expected, bytes, lasts);
  }

 private:
  std::function<void()> before_;
};

class DamageRecordsOfAStore : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }
  ByteVector bytes_of(std::uint8_t pack) {
    return get_object(objects_, DamageCatalog::key_of(pack_number(pack)), kMaxDamageRecordBytes).take();
  }
  void put_raw(std::uint8_t pack, ByteSpan bytes) {
    ASSERT_TRUE(objects_.put_if_absent(DamageCatalog::key_of(pack_number(pack)), bytes).ok());
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  DamageCatalog catalog_{objects_, StoreId{}};
};

TEST_F(DamageRecordsOfAStore, FindingsAddUpInOneRecordOfThePack) {
  EXPECT_TRUE(catalog_.list_ids().take().empty());
  EXPECT_FALSE(catalog_.find(pack_number(1)).take().has_value());
  EXPECT_EQ(catalog_.add(frame_of_pack(1, 1, 3)).take().revision, 1U);
  EXPECT_EQ(catalog_.add(frame_of_pack(1, 1, 5)).take().revision, 2U);
  EXPECT_EQ(catalog_.add(frame_of_pack(1, 2, 0)).take().revision, 3U);
  ASSERT_TRUE(catalog_.add(frame_of_pack(2, 1, 0)).ok());
  EXPECT_EQ(catalog_.list_ids().take(), (std::vector{pack_number(1), pack_number(2)}));
  const DamageRecord record = *catalog_.find(pack_number(1)).take();
  ASSERT_EQ(record.segments.size(), 2U);
  EXPECT_EQ(record.segments.at(segment_number(1)).damaged.count(), 2U);
  EXPECT_TRUE(record.segments.at(segment_number(1)).damaged[5]);
}

TEST_F(DamageRecordsOfAStore, AKnownFindingWritesNothing) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(1, 1, 3)).ok());
  const ByteVector before = bytes_of(1);
  EXPECT_EQ(catalog_.add(frame_of_pack(1, 1, 3)).take().revision, 1U);
  EXPECT_EQ(bytes_of(1), before);
  DamageRecord nothing;
  nothing.pack = pack_number(2);
  ASSERT_TRUE(catalog_.add(nothing).ok());
  EXPECT_EQ(catalog_.list_ids().take().size(), 1U) << "no record without damage";
}

TEST_F(DamageRecordsOfAStore, OfTwoWritersAtOnceNoFindingIsLost) {
  for (const bool is_first : {true, false}) {
    SCOPED_TRACE(is_first);
    const std::uint8_t pack = is_first ? 1 : 2;
    if (!is_first) {
      ASSERT_TRUE(catalog_.add(frame_of_pack(pack, 1, 0)).ok());
    }
    int times = 0;
    WatchedChanges watched(objects_, [&] {
      if (++times > 1) return;
      ASSERT_TRUE(catalog_.add(frame_of_pack(pack, 1, 7)).ok());
    });
    ASSERT_TRUE(DamageCatalog(watched, StoreId{}).add(frame_of_pack(pack, 1, 8)).ok());
    EXPECT_EQ(times, 2);
    const FrameSet frames = catalog_.find(pack_number(pack)).take()->segments.at(segment_number(1)).damaged;
    EXPECT_TRUE(frames[7] && frames[8]);
    EXPECT_EQ(frames.count(), is_first ? 2U : 3U);
  }
}

TEST_F(DamageRecordsOfAStore, ARecordStaysEmptyWhenAllIsSoundAgainAndNoTwoVersionsHaveEqualBytes) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(1, 1, 3)).ok());
  const ByteVector first = bytes_of(1);
  const auto emptied = catalog_.update(PackKind::kData, pack_number(1), [](DamageRecord& record) {
    record.segments.begin()->second.damaged.reset();
  });
  ASSERT_TRUE(emptied.ok());
  EXPECT_TRUE(emptied.value().is_empty());
  EXPECT_EQ(catalog_.list_ids().take().size(), 1U);
  ASSERT_TRUE(catalog_.add(frame_of_pack(1, 1, 3)).ok());
  EXPECT_NE(bytes_of(1), first);
  EXPECT_EQ(catalog_.find(pack_number(1)).take()->revision, 3U);
}

TEST_F(DamageRecordsOfAStore, WhatIsLostIsPartOfWhatIsDamaged) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(1, 1, 3)).ok());
  const DamageRecord lost = catalog_.mark_lost(PackKind::kData, pack_number(1)).take();
  EXPECT_TRUE(lost.segments.at(segment_number(1)).lost[3]);
  EXPECT_FALSE(lost.is_given_up) << "only what is damaged";
  const auto sound = catalog_.update(PackKind::kData, pack_number(1), [](DamageRecord& record) {
    record.segments.begin()->second.damaged[3] = false;
    record.is_given_up = true;
  });
  ASSERT_TRUE(sound.ok());
  EXPECT_TRUE(sound.value().is_empty()) << "a change can't leave a frame that is lost and not damaged";
}

TEST_F(DamageRecordsOfAStore, ARecordThatIsRemovedMeanwhileIsNotMadeAgain) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(1, 1, 3)).ok());
  WatchedChanges watched(objects_, [&] { ASSERT_TRUE(catalog_.remove(pack_number(1)).ok()); });
  ASSERT_TRUE(DamageCatalog(watched, StoreId{}).add(frame_of_pack(1, 1, 4)).ok());
  EXPECT_TRUE(catalog_.list_ids().take().empty());
  EXPECT_TRUE(catalog_.remove(pack_number(1)).ok()) << "twice is harmless";
}

TEST_F(DamageRecordsOfAStore, ARottenRecordNamesTheWholePackAndIsReplaced) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(2, 1, 3)).ok());
  ByteVector rotten = bytes_of(2);
  rotten[30] ^= std::byte{1};
  put_raw(1, rotten);
  EXPECT_TRUE(is(catalog_.find(pack_number(1)), ErrorCode::kCorrupt));
  ASSERT_TRUE(catalog_.add(frame_of_pack(1, 1, 4)).ok());
  const DamageRecord record = *catalog_.find(pack_number(1)).take();
  EXPECT_TRUE(record.is_whole) << "nobody knows what it named";
  EXPECT_TRUE(record.segments.at(segment_number(1)).damaged[4]);
}

TEST_F(DamageRecordsOfAStore, TheRecordOfAnotherPackIsDamage) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(2, 1, 3)).ok());
  put_raw(1, bytes_of(2));
  EXPECT_TRUE(is(catalog_.find(pack_number(1)), ErrorCode::kCorrupt));
}

TEST_F(DamageRecordsOfAStore, ARecordOfANewerProgramIsLeftAlone) {
  ASSERT_TRUE(catalog_.add(frame_of_pack(2, 1, 3)).ok());
  ByteVector newer = bytes_of(2);
  newer[8] = std::byte{kDamageVersion + 1};
  const std::uint64_t checksum = checksum64(ByteSpan(newer).first(newer.size() - 8));
  std::memcpy(newer.data() + newer.size() - 8, &checksum, sizeof checksum);
  put_raw(1, newer);
  EXPECT_TRUE(is(catalog_.add(frame_of_pack(1, 1, 4)), ErrorCode::kUnsupported));
  EXPECT_EQ(bytes_of(1), newer);
}

TEST_F(DamageRecordsOfAStore, MoreThanARecordCanNameIsDamageOfTheWholePack) {
  const auto many = catalog_.update(PackKind::kMeta, pack_number(1), [](DamageRecord& record) {
    for (std::uint32_t i = 0; i < kMaxDamageRecordBytes / 32; ++i) {
      NodeId node;
      std::memcpy(node.bytes.data(), &i, sizeof i);
      record.nodes[node] = NodeDamage::kDamaged;
    }
  });
  ASSERT_TRUE(many.ok());
  EXPECT_TRUE(many.value().is_whole);
  EXPECT_TRUE(many.value().nodes.empty());
}

TEST_F(DamageRecordsOfAStore, AStoreThatRefusesIsAnErrorAndNotALoop) {
  class Refusing : public ForwardingObjects {
   public:
    using ForwardingObjects::ForwardingObjects;
    Status put_if_absent(std::string_view, ByteSpan, Lasts) override { return busy("no"); }
  };
  Refusing refusing(objects_);
  EXPECT_TRUE(is(DamageCatalog(refusing, StoreId{}).add(frame_of_pack(1, 1, 3)), ErrorCode::kBusy));
}

}  // namespace
}  // namespace ashlar
