// Tests of scrub: it finds what verify finds, a part at a time, and knows how old its knowledge is.
#include "scrub/scrub.h"

#include <algorithm>

#include "flow/world.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

class ScrubFlow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    Prng prng(3);
    for (int i = 0; i < 6; ++i) {
      ByteVector noise(1 << 20);
      prng.fill(noise);
      image_.write(static_cast<std::uint64_t>(i) << 20U, noise);
      CaptureOptions options;
      options.threads = 1;
      auto report = world_.capture_file(image_.path(), options);
      ASSERT_OK(report);
      last_ = report.value().record;
    }
  }

  std::vector<PackId> packs(PackKind kind) {
    std::vector<PackId> ids;
    for (const ListedPack& pack : list_packs(world_.repo().objects(), kind).take()) ids.push_back(pack.id);
    return ids;
  }
  ScrubReport scrubbed(const ScrubOptions& options = {}) {
    VerifyProgress progress;
    auto report = scrub(world_.repo().verify_parts().take(), options, progress, {});
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.take() : ScrubReport{};
  }
  void rot(const PackId& pack) {
    Index& index = *world_.repo().index().take();
    const SegmentId id = index.pack_segments(pack).take().at(0).id;
    const auto segment = SegmentReader(world_.repo().objects(), index).locate(id).take();
    flip(store_ + "/" + pack_key(PackKind::kData, pack), segment->frame_offsets[1] + 7);
    ASSERT_OK(world_.open());
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_ / "store";
  World world_{posix_file_system(), store_, {{}, {}, true}};
  Image image_{directory_ / "image", 8 << 20};
  SnapshotRecord last_;
};

TEST_F(ScrubFlow, EverythingIsReadAndNoted) {
  const auto before = scrub_age(world_.repo().verify_parts().take());
  ASSERT_OK(before);
  EXPECT_EQ(before.value().packs, 12U);
  EXPECT_EQ(before.value().never_checked, 12U);
  EXPECT_EQ(before.value().oldest, world_.repo().config().created);
  const UtcTime began = UtcTime::now();
  const ScrubReport report = scrubbed();
  EXPECT_EQ(report.found.packs, 12U);
  EXPECT_TRUE(report.found.damages.empty());
  EXPECT_EQ(report.age.never_checked, 0U);
  EXPECT_GE(report.age.oldest, began);
  const auto verified = world_.verify();
  ASSERT_OK(verified);
  EXPECT_EQ(report.found.bytes_read, verified.value().bytes_read);
}

TEST_F(ScrubFlow, WhatWasReadSinceIsLeftOut) {
  scrubbed();
  ScrubOptions older;
  older.before = UtcTime{UtcTime::now().unix_ns - 3'600'000'000'000};
  EXPECT_EQ(scrubbed(older).found.packs, 0U);
  ScrubState state = ScrubCatalog(world_.repo().objects(), world_.repo().config().id).state().take();
  const PackId pack = packs(PackKind::kData).at(2);
  state.checked[scrub_group(pack)] = UtcTime{1};
  const ByteVector bytes = encode(state);
  std::ofstream(store_ + "/scrub/state", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const ScrubReport again = scrubbed(older);
  EXPECT_GE(again.found.packs, 1U);
  EXPECT_LE(again.found.packs, 2U) << "one group";
  EXPECT_EQ(scrubbed(older).found.packs, 0U);
}

TEST_F(ScrubFlow, ItNamesTheSameAsVerifyAlsoOfPacksThatItLeavesOut) {
  rot(packs(PackKind::kData).at(1));
  rot(packs(PackKind::kData).at(4));
  const ScrubReport first = scrubbed();
  const auto verified = world_.verify();
  ASSERT_OK(verified);
  ASSERT_EQ(first.found.damages.size(), 2U);
  ASSERT_EQ(verified.value().damages.size(), 2U);
  ScrubOptions nothing;
  nothing.before = UtcTime{1};
  const ScrubReport known = scrubbed(nothing);
  EXPECT_EQ(known.found.packs, 0U);
  ASSERT_EQ(known.found.damages.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Damage& right = verified.value().damages[i];
    for (const Damage* found : {&first.found.damages[i], &known.found.damages[i]}) {
      EXPECT_EQ(found->object, right.object);
      EXPECT_EQ(found->segment, right.segment);
      EXPECT_EQ(found->frame, right.frame);
      ASSERT_EQ(found->losses.size(), right.losses.size());
      for (std::size_t loss = 0; loss < right.losses.size(); ++loss) {
        EXPECT_EQ(found->losses[loss].snapshot, right.losses[loss].snapshot);
        EXPECT_EQ(found->losses[loss].ranges, right.losses[loss].ranges);
      }
    }
  }
}

TEST_F(ScrubFlow, OneThatIsStoppedGoesOnLater) {
  std::stop_source stop;
  stop.request_stop();
  VerifyProgress progress;
  const ScrubOptions all;
  EXPECT_TRUE(
      is(scrub(world_.repo().verify_parts().take(), all, progress, stop.get_token()), ErrorCode::kCancelled));
  EXPECT_EQ(scrubbed().found.packs, 12U);
}

TEST_F(ScrubFlow, ACursorBeginsInTheMiddleAndComesRound) {
  const std::size_t group = scrub_group(packs(PackKind::kData).at(3));
  ScrubOptions options;
  options.cursor = group;
  const ScrubReport report = scrubbed(options);
  EXPECT_EQ(report.found.packs, 12U);
  EXPECT_LE(report.cursor, group) << "the last group is the one before it";
}

TEST_F(ScrubFlow, ADamagedStateIsNamedAndMadeAnew) {
  scrubbed();
  flip(store_ + "/scrub/state", 30);
  const ScrubReport report = scrubbed();
  ASSERT_EQ(report.found.damages.size(), 1U);
  EXPECT_EQ(report.found.damages[0].object, "scrub/state");
  EXPECT_EQ(report.found.packs, 12U);
  EXPECT_TRUE(scrubbed().found.damages.empty());
}

}  // namespace
}  // namespace ashlar
