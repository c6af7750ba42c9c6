// Tests of admission: a block that is called known has its bytes at that place, and each new block is stored
// once.
#include "store/admission.h"

#include <gtest/gtest.h>

#include <map>

#include "support/remote_objects.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

// One session over the store. What it seals is kept, and published where the test wants it.
class AdmitSession {
 public:
  explicit AdmitSession(StoreRig& store) : AdmitSession(store, store.segments()) {}
  AdmitSession(StoreRig& store, SegmentReader& segments)
      : leaned(store.objects(), StoreRig::session()),
        admission(store.index(), segments, leaned, [this](SealedSegment segment) {
          EXPECT_EQ(segment.ordinal, sealed.size());
          EXPECT_EQ(segment.id, segment_id(segment.blocks));
          for (std::size_t i = 0; i < segment.blocks.size(); ++i) {
            EXPECT_EQ(block_id(segment.data.span().subspan(i * kBlockBytes, kBlockBytes)), segment.blocks[i]);
          }
          sealed.push_back(std::move(segment));
          return Status();
        }) {}

  Result<std::vector<BlockPlace>> admit(const std::vector<std::uint64_t>& seeds) {
    std::vector<ByteVector> blocks;
    std::vector<BlockId> ids;
    std::vector<const std::byte*> data;
    for (const std::uint64_t seed : seeds) blocks.push_back(block_of(seed));
    for (const ByteVector& block : blocks) {
      ids.push_back(block_id(block));
      data.push_back(block.data());
    }
    std::vector<BlockPlace> places(ids.size());
    TRY(admission.admit(ids, data, places));
    return places;
  }

  std::set<PackId> reused_packs() const { return leaned.packs(PackKind::kData); }

  LeanedPacks leaned;
  Admission admission;
  std::vector<SealedSegment> sealed;
};

// The store and its model: which block ids lie in which segment.
class Admitting : public testing::Test {
 protected:
  PackId publish(const SealedSegment& segment) {
    model_[segment.id] = segment.blocks;
    return store_.publish(segment);
  }
  // Seals the session, publishes its segments in one pack, and checks where its blocks lie.
  void commit(AdmitSession& session, const std::vector<std::uint64_t>& seeds,
              const std::vector<BlockPlace>& places) {
    expect_ok(session.admission.seal());
    for (const SealedSegment& segment : session.sealed) model_[segment.id] = segment.blocks;
    if (!session.sealed.empty()) store_.publish(session.sealed);
    ASSERT_EQ(places.size(), seeds.size());
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      ASSERT_TRUE(session.admission.is_sealed(places[i].segment));
      const SegmentId segment = session.admission.id_of(places[i].segment);
      ASSERT_EQ(model_.at(segment).at(places[i].index), id_of_block(seeds[i])) << "block " << i;
    }
  }

  StoreRig store_;
  std::map<SegmentId, std::vector<BlockId>> model_;
};

TEST_F(Admitting, AnyBlocksInAnySessionsLieWhereAdmissionSays) {
  Prng prng(5);
  std::set<std::uint64_t> stored;
  std::uint64_t known = 0;
  for (int round = 0; round < 12; ++round) {
    AdmitSession session(store_);
    std::vector<std::uint64_t> all;
    std::vector<BlockPlace> places;
    std::set<std::uint64_t> distinct;
    for (std::uint64_t batch = 1 + prng.below(6); batch > 0; --batch) {
      std::vector<std::uint64_t> seeds = seeds_from(prng.below(3000), 1 + prng.below(600));
      if (prng.below(3) == 0) std::swap(seeds.front(), seeds.back());
      const auto got = session.admit(seeds);
      ASSERT_FINE(got);
      places.insert(places.end(), got.value().begin(), got.value().end());
      all.insert(all.end(), seeds.begin(), seeds.end());
      distinct.insert(seeds.begin(), seeds.end());
    }
    commit(session, all, places);
    const AdmitCounters& counters = session.admission.counters();
    EXPECT_EQ(counters.blocks, all.size());
    EXPECT_LE(counters.new_blocks, distinct.size()) << "a block is new once in a session";
    std::uint64_t sealed = 0;
    for (const SealedSegment& segment : session.sealed) sealed += segment.blocks.size();
    EXPECT_EQ(counters.new_blocks, sealed);
    const auto missing = static_cast<std::uint64_t>(std::count_if(
        distinct.begin(), distinct.end(), [&](std::uint64_t seed) { return !stored.contains(seed); }));
    EXPECT_GE(counters.new_blocks, missing) << "a block that is not stored is never known";
    known += distinct.size() - counters.new_blocks;
    stored.insert(distinct.begin(), distinct.end());
  }
  EXPECT_GT(known, stored.size()) << "most duplicates are found";
}

TEST_F(Admitting, ASegmentThatComesAgainIsFoundWholeByItsFirstBlock) {
  publish(sealed_segment(seeds_from(0, 300)));
  AdmitSession session(store_);
  const auto places = session.admit(seeds_from(0, 300));
  ASSERT_FINE(places);
  commit(session, seeds_from(0, 300), places.value());
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
  EXPECT_EQ(session.admission.counters().directories_read, 1U);
  EXPECT_EQ(session.reused_packs(),
            std::set<PackId>{store_.place_of(sealed_segment(seeds_from(0, 300)).id).pack});
}

TEST_F(Admitting, AHookBringsInTheNeighboursOfItsSegment) {
  std::vector<SealedSegment> segments;
  for (std::uint64_t s = 0; s < 5; ++s) {
    segments.push_back(sealed_segment(seeds_from(1000 * s, 20)));
    model_[segments.back().id] = segments.back().blocks;
  }
  store_.publish(segments);
  AdmitSession session(store_);
  ASSERT_FINE(session.admit({2000}));
  EXPECT_EQ(session.admission.counters().directories_read, 3U);
  for (const std::uint64_t seed : {1005U, 3007U}) {
    const auto places = session.admit({seed});
    ASSERT_FINE(places);
    EXPECT_EQ(session.admission.id_of(places.value()[0].segment), segments[seed / 1000].id);
  }
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
}

TEST_F(Admitting, TheBlocksOfASegmentThatWasBroughtInAreKnownWithoutAHook) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 40));
  publish(segment);
  std::uint64_t plain = 1;
  while (is_hook(segment.blocks[plain], store_.index().hook_rate())) ++plain;
  AdmitSession session(store_);
  ASSERT_FINE(session.admission.bring_in(segment.id));
  const auto places = session.admit({plain});
  ASSERT_FINE(places);
  EXPECT_EQ(places.value()[0].index, plain);
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
  const auto again = session.admission.bring_in(segment.id);
  ASSERT_FINE(again);
  EXPECT_EQ(again.value(), places.value()[0].segment) << "one handle for one segment";
  EXPECT_EQ(session.admission.counters().directories_read, 1U);
}

TEST_F(Admitting, ABlockThatComesTwiceIsStoredOnceAlsoInTheOpenSegment) {
  AdmitSession session(store_);
  const auto places = session.admit({1, 2, 1, 1});
  ASSERT_FINE(places);
  EXPECT_EQ(places.value()[0], places.value()[2]);
  EXPECT_EQ(places.value()[0], places.value()[3]);
  EXPECT_FALSE(session.admission.is_sealed(places.value()[0].segment));
  const auto later = session.admit({2});
  ASSERT_FINE(later);
  EXPECT_EQ(later.value()[0], places.value()[1]);
  commit(session, {1, 2, 1, 1}, places.value());
  EXPECT_EQ(session.admission.counters().new_blocks, 2U);
}

TEST_F(Admitting, AFullSegmentIsSealedByItself) {
  AdmitSession session(store_);
  const auto seeds = seeds_from(0, 2 * kSegmentBlocks + 5);
  const auto places = session.admit(seeds);
  ASSERT_FINE(places);
  ASSERT_EQ(session.sealed.size(), 2U);
  EXPECT_EQ(session.sealed[0].blocks.size(), kSegmentBlocks);
  commit(session, seeds, places.value());
  ASSERT_EQ(session.sealed.size(), 3U);
  EXPECT_EQ(session.sealed[2].blocks.size(), 5U);
  expect_ok(session.admission.seal());
  EXPECT_EQ(session.sealed.size(), 3U) << "there is no open segment to seal";
}

TEST_F(Admitting, ABlockWhosePackIsDamagedIsStoredAnew) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  const PackId pack = publish(segment);
  const std::string key = pack_key(PackKind::kData, pack);
  const ByteVector good = store_.bytes_of(key);
  const std::uint64_t ends[] = {0, store_.place_of(segment.id).entry.directory_offset + 5, good.size() - 1};
  for (const std::uint64_t offset : ends) {
    SCOPED_TRACE(offset);
    store_.overwrite(key, good);
    store_.flip_byte(key, offset);
    store_.reopen_segments();
    AdmitSession session(store_);
    const auto places = session.admit(seeds_from(0, 20));
    ASSERT_FINE(places);
    EXPECT_EQ(session.admission.counters().new_blocks, 20U);
    EXPECT_TRUE(session.reused_packs().empty());
  }
}

TEST_F(Admitting, ADamagedNeighbourIsNoHindrance) {
  std::vector<SealedSegment> segments;
  for (std::uint64_t s = 0; s < 2; ++s) segments.push_back(sealed_segment(seeds_from(1000 * s, 20)));
  const PackId pack = store_.publish(segments);
  store_.flip_byte(pack_key(PackKind::kData, pack),
                   store_.place_of(segments[1].id).entry.directory_offset + 70);
  store_.reopen_segments();
  AdmitSession session(store_);
  const auto places = session.admit({0, 1, 2});
  ASSERT_FINE(places);
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
}

TEST_F(Admitting, TheNextPlaceOfASegmentIsUsedWhenTheFirstIsDamaged) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 20));
  publish(segment);
  store_.publish(segment);
  const auto places = store_.places_of(segment.id);
  ASSERT_EQ(places.size(), 2U);
  store_.flip_byte(pack_key(PackKind::kData, places[0].pack), places[0].entry.directory_offset + 90);
  store_.reopen_segments();
  AdmitSession session(store_);
  ASSERT_FINE(session.admit(seeds_from(0, 20)));
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
  EXPECT_EQ(session.reused_packs(), std::set<PackId>{places[1].pack});
}

TEST_F(Admitting, BlocksOfAbsentFramesAreStoredAnew) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 64));
  EncodedSegment encoded = encoded_segment(segment);
  make_absent(encoded, 1, 2);
  store_.publish(std::move(encoded));
  AdmitSession session(store_);
  ASSERT_FINE(session.admit(seeds_from(0, 64)));
  EXPECT_EQ(session.admission.counters().new_blocks, 32U);
  const auto places = store_.places_of(segment.id);
  EXPECT_EQ(session.reused_packs(), std::set<PackId>{places[0].pack});
}

// A segment whose frames are absent in one pack and present in another is known.
TEST_F(Admitting, FramesThatAreAbsentInOnePlaceAreFoundInAnother) {
  const SealedSegment segment = sealed_segment(seeds_from(0, 64));
  for (const std::size_t first : {0U, 2U}) {
    EncodedSegment encoded = encoded_segment(segment);
    make_absent(encoded, first, 2);
    store_.publish(std::move(encoded));
  }
  AdmitSession session(store_);
  ASSERT_FINE(session.admit(seeds_from(0, 64)));
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
  EXPECT_EQ(session.reused_packs().size(), 2U) << "the commit checks both";
}

// A medium that fails under a hint costs a duplicate and not the capture.
TEST_F(Admitting, ABlockWhosePackCantBeReadIsStoredAnew) {
  publish(sealed_segment(seeds_from(0, 20)));
  RemoteObjects remote(store_.objects());
  SegmentReader far(remote, store_.index());
  remote.fault = Fault::kBadMedium;
  AdmitSession session(store_, far);
  ASSERT_FINE(session.admit({0}));
  EXPECT_EQ(session.admission.counters().new_blocks, 1U);
}

TEST_F(Admitting, AStoreThatIsAwayIsAnErrorAndNoBlockCountsAsNew) {
  publish(sealed_segment(seeds_from(0, 20)));
  RemoteObjects remote(store_.objects());
  SegmentReader far(remote, store_.index());
  remote.fault = Fault::kError;
  AdmitSession session(store_, far);
  const auto places = session.admit({0});
  ASSERT_FALSE(places.ok());
  EXPECT_EQ(places.error().code(), ErrorCode::kIo);
  EXPECT_EQ(session.admission.counters().new_blocks, 0U);
}

TEST_F(Admitting, TheErrorOfTheSinkIsTheCallers) {
  Admission admission(store_.index(), store_.segments(), store_.leaned(),
                      [](SealedSegment) -> Status { return Error(ErrorCode::kExhausted, "no room"); });
  const ByteVector block = block_of(1);
  const BlockId id = block_id(block);
  const std::byte* data = block.data();
  BlockPlace place;
  expect_ok(admission.admit({&id, 1}, {&data, 1}, {&place, 1}));
  const Status sealed = admission.seal();
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().code(), ErrorCode::kExhausted);
}

}  // namespace
}  // namespace ashlar
