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
