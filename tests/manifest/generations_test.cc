// Tests of random volumes and their increments against the plain model. The seed is in every failure message.
#include <bit>

#include "manifest/model.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kSmallSizes[] = {0,
                                         1,
                                         7,
                                         1000,
                                         1023,
                                         1024,
                                         1025,
                                         5000,
                                         255 * 1024ULL,
                                         256 * 1024ULL - 1,
                                         256 * 1024ULL,
                                         256 * 1024ULL + 1,
                                         257 * 1024ULL,
                                         257 * 1024ULL - 9,
                                         600 * 1024ULL + 17};
constexpr std::uint64_t kLargeSizes[] = {65535 * 1024ULL,      65536 * 1024ULL, 65536 * 1024ULL - 1,
                                         65536 * 1024ULL + 1,  65537 * 1024ULL, 300 * 1024ULL,
                                         66000 * 1024ULL + 100};

// A sequence of volumes, each built from the one before by a random mixture of the builder's calls.
class Generations {
 public:
  explicit Generations(std::uint64_t seed) : prng_(seed), pool_(prng_) {}

  void grow(BlockCount blocks) {
    const ModelVolume before = std::exchange(volume_, {blocks, {}});
    const bool stream = prng_.below(3) == 0;
    ManifestBuilder builder(nodes_, nodes_, stream ? ManifestBuilder::kUnknownSize : blocks, root_);
    // A stream takes only whole leaves until its end is known.
    limit_ = stream ? blocks.value / kLeafBlocks : leaf_count(blocks);
    do {
      if (builder.next() == limit_ || prng_.below(8) == 0) {
        ASSERT_TRUE(builder.end_at(blocks).ok());
        limit_ = leaf_count(blocks);
      }
      if (builder.next() < limit_) {
        ASSERT_TRUE(step(builder, before).ok());
      }
    } while (builder.next() < leaf_count(blocks));
    ASSERT_TRUE(builder.end_at(blocks).ok());
    ASSERT_EQ(volume_.leaves.size(), leaf_count(blocks));
    const TreeRoot after = builder.finish().take();

    MemoryNodes own;
    const TreeRoot scratch = build_from_scratch(own, volume_);
    ASSERT_EQ(after.level, scratch.level);
    ASSERT_EQ(after.ref, scratch.ref) << "the increment and the tree from scratch differ";
    expect_reads_as(nodes_, after, volume_);
    if (root_) {
      ASSERT_EQ(tree_diff(nodes_, *root_, after), model_diff(before, volume_));
      ASSERT_EQ(tree_diff(nodes_, after, *root_), model_diff(volume_, before));
    }
    root_ = after;
  }

 private:
  // Returns a random length, which is often all that is left: at the ends of volumes subtrees are cut short.
  std::uint64_t stretch(std::uint64_t left) {
    if (prng_.below(4) == 0) return left;
    return 1 + prng_.below(prng_.below(3) == 0 ? left : (left + 7) / 8);
  }

  Status step(ManifestBuilder& builder, const ModelVolume& before) {
    const std::uint64_t next = builder.next();
    const std::uint64_t left = limit_ - next;
    if (next < before.leaves.size() && prng_.below(2) == 0) {
      std::uint64_t count = stretch(std::min<std::uint64_t>(left, before.leaves.size() - next));
      if (leaf_blocks(before.blocks, next + count - 1) != leaf_blocks(volume_.blocks, next + count - 1))
        --count;
      return keep(builder, before, next, count);
    }
    if (prng_.below(2) == 0) {
      const ChildKind kind = prng_.below(2) == 0 ? ChildKind::kZero : ChildKind::kUnallocated;
      const std::uint64_t count = stretch(left);
      for (std::uint64_t i = next; i < next + count; ++i) {
        volume_.leaves.push_back(pool_.constant(kind, leaf_blocks(volume_.blocks, i)));
      }
      return builder.add_constant(kind, count);
    }
    const std::uint64_t count = std::min<std::uint64_t>(left, 1 + prng_.below(300));
    for (std::uint64_t i = next; i < next + count; ++i) {
      volume_.leaves.push_back(pool_.any(leaf_blocks(volume_.blocks, i)));
      TRY(builder.add_leaf(*volume_.leaves.back()));
    }
    return {};
  }

  // Keeps leaves by reference in one call or in many, or adds them again one by one: the tree must be the
  // same.
  Status keep(ManifestBuilder& builder, const ModelVolume& before, std::uint64_t next, std::uint64_t count) {
    const bool again = count < 600 && prng_.below(3) == 0;
    const bool singly = prng_.below(2) == 0;
    for (std::uint64_t i = next; i < next + count; ++i) {
      volume_.leaves.push_back(before.leaves[i]);
      if (again) TRY(builder.add_leaf(*before.leaves[i]));
      if (!again && singly) TRY(builder.keep(1));
    }
    return again || singly ? Status() : builder.keep(count);
  }

  Prng prng_;
  LeafPool pool_;
  MemoryNodes nodes_;
  ModelVolume volume_;
  std::uint64_t limit_ = 0;  // leaves that may have been added at this point
  std::optional<TreeRoot> root_;
};

TEST(Generations, SmallVolumesOfAwkwardSizes) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Generations generations(seed);
    Prng sizes(seed * 1000);
    for (int i = 0; i < 6; ++i) {
      const BlockCount blocks{kSmallSizes[sizes.below(std::size(kSmallSizes))]};
      SCOPED_TRACE(testing::Message() << "generation " << i << " of " << blocks.value << " blocks");
      generations.grow(blocks);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(Generations, VolumesOfThreeAndFourLevels) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Generations generations(seed);
    Prng sizes(seed * 77);
    for (int i = 0; i < 4; ++i) {
      const BlockCount blocks{kLargeSizes[sizes.below(std::size(kLargeSizes))]};
      SCOPED_TRACE(testing::Message() << "generation " << i << " of " << blocks.value << " blocks");
      generations.grow(blocks);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace ashlar
