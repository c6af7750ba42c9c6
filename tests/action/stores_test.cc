// Shows what a store says of itself, and how its settings change.
#include "action/stores.h"

#include "action/action_world.h"

namespace ashlar {
namespace {

using Stores = ActionWorld;

TEST_F(Stores, StatsCountWhatIsStored) {
  CaptureSource request;
  request.source = file("disk", std::size_t{1} << 20U);
  for (int i = 0; i < 2; ++i) ASSERT_OK(capture_source(repo(), owner(), request));
  const auto stats = describe_store(repo(), owner());
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().snapshots.records.size(), 2U);
  EXPECT_EQ(stats.value().logical.value, std::uint64_t{2} << 20U);
  EXPECT_EQ(stats.value().unique().value, std::uint64_t{1} << 20U);
  EXPECT_EQ(stats.value().sessions, 0U);
  const auto again = reindex_store(repo(), owner());
  ASSERT_OK(again);
  EXPECT_EQ(again.value().stats.blocks, stats.value().index.blocks);
}

// A record is discarded only when its bytes were read and are wrong; they are kept.
TEST_F(Stores, ADamagedRecordIsDiscardedAndItsBytesAreKept) {
  CaptureSource request;
  request.source = file("disk", std::size_t{1} << 20U);
  const SnapshotId id = capture_source(repo(), owner(), request).take().record.id;
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), id.text())), ErrorCode::kInvalid);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), SnapshotId{99}.text())), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), VolumeId{99}.text())), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), ImageId{99}.text())), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), "settings.json")), ErrorCode::kInvalid);

  ObjectStore& objects = repo().objects();
  const std::string key = "snapshots/" + id.text();
  const ByteVector sound = get_object(objects, key, 1 << 20).take();
  ByteVector bytes = sound;
  bytes.back() ^= std::byte{1};
  ASSERT_OK(objects.replace(key, sound, bytes));
  EXPECT_EQ(code_of(delete_snapshot(repo(), owner(), id)), ErrorCode::kCorrupt);
  const auto discarded = discard_damaged_record(repo(), owner(), id.text());
  ASSERT_OK(discarded);
  EXPECT_EQ(get_object(objects, discarded.value().kept, 1 << 20).take(), bytes);
  EXPECT_EQ(code_of(describe_snapshot(repo(), owner(), id)), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), id.text())), ErrorCode::kNotFound);
}

TEST_F(Stores, ADamagedSessionIsCountedNamedAndGivenUp) {
  const std::string id(32, '0');
  ASSERT_OK(repo().objects().put_if_absent("sessions/" + id, as_byte_span("rotten")));
  const auto stats = describe_store(repo(), owner());
  ASSERT_OK(stats);
  EXPECT_EQ(stats.value().sessions, 1U);
  ASSERT_EQ(stats.value().unread_sessions.size(), 1U);
  EXPECT_EQ(stats.value().unread_sessions[0].second.kind(), ErrorKind::kRecordDamaged);
  EXPECT_EQ(stats.value().unread_sessions[0].second.id(), id);
  const auto discarded = discard_damaged_record(repo(), owner(), id);
  ASSERT_OK(discarded);
  EXPECT_EQ(as_text(get_object(repo().objects(), discarded.value().kept, 64).take()), "rotten");
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), id)), ErrorCode::kNotFound);
  EXPECT_EQ(describe_store(repo(), owner()).take().sessions, 0U);
}

TEST_F(Stores, AKeyThatIsNoClaimIsNotGivenUp) {
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), "image-names/none")), ErrorCode::kNotFound);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), "image-names/../ashlar.json")),
            ErrorCode::kInvalid);
  EXPECT_EQ(code_of(discard_damaged_record(repo(), owner(), "ashlar.json")), ErrorCode::kInvalid);
}

// A write of other settings whose answer was lost must not take effect on the fresh ones.
TEST_F(Stores, SettingsThatWereGivenUpStartWithBytesOfTheirOwn) {
  ObjectStore& objects = repo().objects();
  const ByteVector first = get_object(objects, "settings.json", 1 << 20).take();
  ASSERT_OK(objects.replace("settings.json", first, as_byte_span("{}")));
  ASSERT_OK(discard_damaged_record(repo(), owner(), "settings"));
  EXPECT_EQ(modify_settings(repo(), owner(), {}).take().bin_days, StoreSettings{}.bin_days);
  EXPECT_NE(get_object(objects, "settings.json", 1 << 20).take(), first);
}

TEST_F(Stores, OnlyStatedSettingsChange) {
  EXPECT_EQ(modify_settings(repo(), owner(), {}).take(), StoreSettings{});
  ASSERT_OK(modify_settings(repo(), owner(), {.bin_days = 30, .unsigned_images = {}}));
  const auto now =
      modify_settings(repo(), owner(), {.bin_days = {}, .unsigned_images = UnsignedImages::kRefuse});
  ASSERT_OK(now);
  EXPECT_EQ(now.value().bin_days, 30U);
  EXPECT_EQ(now.value().unsigned_images, UnsignedImages::kRefuse);
  EXPECT_EQ(code_of(modify_settings(repo(), owner(), {.bin_days = kMaxBinDays + 1, .unsigned_images = {}})),
            ErrorCode::kInvalid);
}

}  // namespace
}  // namespace ashlar
