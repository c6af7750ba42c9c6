// Tests of the known blocks against a plain map: whatever is added and dropped, each id is found at the place
// that it was added with, and nothing else is found.
#include "store/known_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/random.h"

namespace ashlar {
namespace {

// Returns one of few ids whose places in the table lie close together, so that probes are long and wrap
// around its end.
BlockId crowded_id(std::uint64_t number) {
  BlockId id;
  const std::uint64_t prefix = UINT64_MAX - 3 + number % 8;  // wraps from the last slots to the first ones
  std::memcpy(id.bytes.data(), &prefix, sizeof prefix);
  std::memcpy(id.bytes.data() + 16, &number, sizeof number);
  return id;
}

class KnownModel {
 public:
  explicit KnownModel(std::size_t directories) : known_(directories), most_(directories) {}

  void add(const std::vector<BlockId>& blocks) {
    const SegmentHandle handle = begin(false);
    known_.add(handle, blocks, ~SegmentBlocks());
    for (std::size_t i = 0; i < blocks.size(); ++i) remember(blocks[i], handle, i);
    drop();
  }
  void append(const BlockId& block, bool anew) {
    if (anew || !filling_) filling_ = begin(true);
    known_.append(*filling_, block);
    remember(block, *filling_, filled_++);
    drop();
  }
  void check(std::uint64_t ids) {
    for (std::uint64_t n = 0; n < ids; ++n) {
      const auto expected = places_.find(crowded_id(n));
      const auto found = known_.find(crowded_id(n));
      ASSERT_EQ(found.has_value(), expected != places_.end()) << "id " << n;
      if (found) {
        ASSERT_EQ(*found, expected->second) << "id " << n;
      }
    }
  }
  std::size_t drops() const { return drops_; }

 private:
  SegmentHandle begin(bool fills) {
    const SegmentHandle handle{next_++};
    order_.push_back(handle);
    if (fills) filled_ = 0;
    return handle;
  }
  void remember(const BlockId& block, SegmentHandle handle, std::size_t at) {
    later_.emplace_back(block, BlockPlace{handle, static_cast<std::uint16_t>(at)});
  }
  // Applies what the addition dropped, then what it added: an id that is held already keeps its place.
  void drop() {
    std::vector<SegmentHandle> dropped;
    known_.take_dropped([&](SegmentHandle handle) { dropped.push_back(handle); });
    for (const SegmentHandle handle : dropped) {
      ++drops_;
      EXPECT_NE(std::optional(handle), filling_) << "the segment that is being filled stays";
      if (!filling_) {
        EXPECT_EQ(handle, order_.front()) << "the one that was added longest ago goes";
      }
      order_.erase(std::find(order_.begin(), order_.end(), handle));
      std::erase_if(places_, [&](const auto& place) { return place.second.segment == handle; });
    }
    EXPECT_LE(order_.size(), most_);
    for (const auto& [block, place] : later_) places_.emplace(block, place);
    later_.clear();
  }

  KnownBlocks known_;
  std::size_t most_;
  std::map<BlockId, BlockPlace> places_;
  std::vector<std::pair<BlockId, BlockPlace>> later_;
  std::deque<SegmentHandle> order_;
  std::optional<SegmentHandle> filling_;
  std::size_t filled_ = 0;
  std::uint32_t next_ = 0;
  std::size_t drops_ = 0;
};

TEST(KnownBlocksModel, AnySequenceOfAdditionsFindsWhatTheMapFinds) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    Prng prng(seed);
    KnownModel model(3);
    const std::uint64_t ids = 50 + prng.below(400);
    const bool fills = prng.below(3) != 0;
    for (int step = 0; step < 60; ++step) {
      if (fills && prng.below(3) == 0) {
        const bool anew = prng.below(4) == 0;
        for (std::uint64_t n = 1 + prng.below(40); n > 0; --n)
          model.append(crowded_id(prng.below(ids)), anew && n == 1);
      } else {
        std::vector<BlockId> blocks(1 + prng.below(100));
        for (BlockId& block : blocks) block = crowded_id(prng.below(ids));
        model.add(blocks);
      }
      model.check(ids);
      if (testing::Test::HasFatalFailure()) return;
    }
    EXPECT_GT(model.drops(), 10U);
  }
}

TEST(KnownBlocksModel, OnlyTheWholeIdCounts) {
  KnownBlocks known(2);
  BlockId id = crowded_id(1);
  known.add({7}, {id}, ~SegmentBlocks());
  ASSERT_TRUE(known.find(id));
  id.bytes.back() ^= std::byte{1};
  EXPECT_FALSE(known.find(id)) << "eight equal bytes name nothing";
}

TEST(KnownBlocksModel, AnAbsentBlockIsNotFoundAndIsDroppedWithItsDirectory) {
  KnownBlocks known(2);
  std::vector<BlockId> blocks(8);
  for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i].bytes[0] = static_cast<std::byte>(i + 1);
  known.add({1}, blocks, block_set(0, 8) & ~block_set(2, 3));
  for (std::size_t i = 0; i < blocks.size(); ++i)
    EXPECT_EQ(known.find(blocks[i]).has_value(), i < 2 || i >= 5) << i;
  known.add({2}, {blocks[3]}, block_set(0, 1));
  EXPECT_EQ(known.find(blocks[3]), (BlockPlace{{2}, 0}));
  known.add({3}, {}, {});  // drops the first directory
  for (std::size_t i = 0; i < blocks.size(); ++i) EXPECT_EQ(known.find(blocks[i]).has_value(), i == 3) << i;
}

TEST(KnownBlocksModel, AFullDirectoryHasItsLastBlock) {
  KnownBlocks known(2);
  std::vector<BlockId> blocks;
  for (std::uint64_t i = 0; i < kSegmentBlocks; ++i) blocks.push_back(crowded_id(i));
  known.add({1}, {}, ~SegmentBlocks());
  known.add({2}, blocks, ~SegmentBlocks());
  for (std::uint16_t i = 0; i < kSegmentBlocks; i += 341)
    EXPECT_EQ(known.find(blocks[i]), (BlockPlace{{2}, i}));
}

}  // namespace
}  // namespace ashlar
