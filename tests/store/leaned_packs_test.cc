// LeanedPacks: a writer leans on no pack that is condemned or gone, and keeps what it leans on already.
#include "pack/leaned_packs.h"

#include "support/forwarding_objects.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

class Leaning : public testing::Test {
 protected:
  bool lean_on(const PackId& pack) { return expect_ok(store_.leaned().lean_on(PackKind::kData, pack)); }

  StoreRig store_;
  const SealedSegment first_ = sealed_segment(seeds_from(0, 8));
  const SealedSegment second_ = sealed_segment(seeds_from(100, 8));
};

TEST_F(Leaning, ACondemnedPackIsNotLeanedOnAnew) {
  const PackId one = store_.publish(first_);
  const PackId other = store_.publish(second_);
  EXPECT_TRUE(lean_on(one));
  LeanedPacks writer(store_.objects(), SessionId{});
  EXPECT_TRUE(expect_ok(writer.lean_on(PackKind::kData, one)));
  EXPECT_EQ(writer.exclude({one, other}), std::vector<PackId>{one});
  EXPECT_TRUE(expect_ok(writer.lean_on(PackKind::kData, one))) << "it keeps it";
  EXPECT_FALSE(expect_ok(writer.lean_on(PackKind::kData, other)));
  EXPECT_EQ(writer.keys(), std::vector<std::string>{pack_key(PackKind::kData, one)});
  EXPECT_TRUE(writer.exclude({}).empty());
  EXPECT_TRUE(expect_ok(writer.lean_on(PackKind::kData, other))) << "a later collection condemns it no more";
}

TEST_F(Leaning, OwnPacksAreKept) {
  const PackId own = store_.publish(first_);  // of StoreRig's session
  EXPECT_EQ(store_.leaned().exclude({own}), std::vector<PackId>{own});
}

TEST_F(Leaning, APackThatIsGoneIsNotLeanedOn) {
  const PackId pack = store_.publish(first_);
  expect_ok(store_.objects().remove(pack_key(PackKind::kData, pack)));
  EXPECT_FALSE(lean_on(pack));
  EXPECT_TRUE(store_.leaned().keys().empty());
}

TEST_F(Leaning, TroubleIsAnErrorAndNoAnswer) {
  const PackId pack = store_.publish(first_);
  class Failing : public ForwardingObjects {
   public:
    using ForwardingObjects::ForwardingObjects;
    Result<ObjectInfo> stat(std::string_view /*key*/) override {
      return Error(ErrorCode::kIo, "a bad moment");
    }
  };
  Failing failing(store_.objects());
  LeanedPacks writer(failing, SessionId{});
  EXPECT_TRUE(is(writer.lean_on(PackKind::kData, pack), ErrorCode::kIo));
}

TEST_F(Leaning, BlocksInACondemnedPackAreNewAndAMovedSegmentIsFound) {
  const PackId pack = store_.publish(first_);
  LeanedPacks writer(store_.objects(), SessionId{});
  writer.exclude({pack});
  EXPECT_EQ(store_.segments().locate_sound(first_.id, writer).error().code(), ErrorCode::kCorrupt);
  store_.publish(first_);  // as a collection does
  EXPECT_EQ(expect_ok(store_.segments().locate_sound(first_.id, writer)).present, block_set(0, 8));
  EXPECT_EQ(writer.packs(PackKind::kData).size(), 1U);
  EXPECT_FALSE(writer.packs(PackKind::kData).contains(pack));
}

TEST_F(Leaning, ASegmentThatWasMovedIsFoundByAReaderThatHasNotSeenIt) {
  const PackId pack = store_.publish(first_);
  const auto index = Index::open_in_memory(store_.objects()).take();
  expect_ok(index->catch_up());
  SegmentReader reader(store_.objects(), *index);
  store_.publish(first_);
  expect_ok(store_.objects().remove(pack_key(PackKind::kData, pack)));
  EXPECT_EQ(expect_ok(reader.locate_sound(first_.id, store_.leaned())).present, block_set(0, 8));
}

}  // namespace
}  // namespace ashlar
