// Tests of restores that leave out what the store can't give: exactly the blocks of damaged frames, leaves,
// inner nodes and missing packs are left out and named, and everything else is restored.
#include <algorithm>

#include "flow/bad_sectors.h"
#include "flow/world.h"
#include "support/failing_reads.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLeaf = kLeafBytes;
constexpr std::size_t kFrame = 16;  // blocks

// Reads of the chosen packs fail with an errno.
class FailingPack : public FailingReads {
 public:
  FailingPack(FileSystem& inner, int error_number)
      : FailingReads(inner, -1, 0), inner_(inner), errno_(error_number) {}
  void fail(std::string path) { failing_ = std::move(path); }
  Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) override {
    if (!failing_.empty() && path.find(failing_) != std::string::npos)
      return Error::from_errno(errno_, "read " + path);
    return inner_.open(path, mode);
  }
  Result<std::uint64_t> file_size(const std::string& path) override {
    if (!failing_.empty() && path.find(failing_) != std::string::npos)
      return Error::from_errno(errno_, "look at " + path);
    return inner_.file_size(path);
  }

 private:
  FileSystem& inner_;
  const int errno_;
  std::string failing_;
};

class SkipDamagedFlow : public testing::Test {
 protected:
  static constexpr std::uint64_t kSize = 3 * kLeaf + 9 * kBlockBytes + 700;

  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    ByteVector noise(kSize);
    Prng(7).fill(noise);
    image_.write(0, noise);
    snapshot_ = captured(image_);
  }
  SnapshotRecord captured(const Image& image) {
    CaptureOptions options;
    options.threads = 1;
    auto report = world_.capture_file(image.path(), options);
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.value().record : SnapshotRecord{};
  }
  std::string pack_path(const PackId& pack, PackKind kind = PackKind::kData) const {
    return store_ + "/" + pack_key(kind, pack);
  }
  Leaf leaf(std::uint64_t number) {
    LeafCursor cursor(*world_.repo().nodes().take(), tree_root(snapshot_));
    return *cursor.load(cursor.at(number).take()).take();
  }
  // Flips a byte of the frame that holds a block of the volume.
  void rot_frame_of(std::uint64_t block) {
    const Leaf found = leaf(block / kLeafBlocks);
    std::uint64_t at = block / kLeafBlocks * kLeafBlocks;
    for (const LeafExtent& extent : found.extents) {
      if (block < at + extent.block_count) {
        const auto segment = world_.repo().segments().take()->locate(found.segments[extent.segment]).take();
        flip(pack_path(segment->place.pack),
             segment->frame_offsets[segment->frame_of(extent.first_block + block - at)]);
        return;
      }
      at += extent.block_count;
    }
    FAIL() << "no such block";
  }
  void rot_node(const NodeId& id) {
    const auto place = world_.repo().index().take()->find_node(id).take();
    ASSERT_TRUE(place);
    flip(pack_path(place->pack, PackKind::kMeta), place->entry.offset + 20);
  }
  static RestoreOptions skipping(bool delta = false) {
    RestoreOptions options;
    options.skip_damaged = true;
    options.delta = delta;
    return options;
  }
  static std::vector<LeftOut> of(std::uint64_t first, std::uint64_t count,
                                 LossCause cause = LossCause::kDamage) {
    return {{{Lba{first}, BlockCount{count}}, cause}};
  }
  ByteVector expected(const std::vector<LeftOut>& left_out, const ByteVector& before) const {
    ByteVector bytes = image_.model();
    for (const LeftOut& each : left_out) {
      const std::uint64_t first = byte_offset(each.range.first).value;
      const std::uint64_t end = std::min<std::uint64_t>(byte_offset(each.range.end()).value, bytes.size());
      std::copy(before.begin() + static_cast<std::ptrdiff_t>(first),
                before.begin() + static_cast<std::ptrdiff_t>(end),
                bytes.begin() + static_cast<std::ptrdiff_t>(first));
    }
    return bytes;
  }
  // Restores to a new file, to one that holds other bytes, and to that one with delta. Each must leave out
  // exactly these ranges, and keep what the target held there.
  void expect_left_out(const std::vector<LeftOut>& left_out) {
    const std::string fresh = directory_ / "fresh";
    ByteVector former(kSize);
    for (const int kind : {0, 1, 2}) {
      SCOPED_TRACE(kind);
      const std::string path = kind == 0 ? fresh : directory_ / "former";
      if (kind == 0) {
        fs::remove(path);
      } else {
        Prng(8).fill(former);
        Image(path, kSize).write(0, former);
      }
      ASSERT_OK(world_.open());
      const auto restored = world_.restore_to(snapshot_, path, skipping(kind == 2));
      ASSERT_OK(restored);
      EXPECT_TRUE(restored.value().left_out == left_out) << named(restored.value().left_out);
      EXPECT_TRUE(file_bytes(path) == expected(left_out, former));
      const auto target = Target::open_to_compare(path).take();
      RestoreProgress progress;
      const auto different =
          compare(world_.repo().read_parts().take(), snapshot_, *target, progress, {}, left_out);
      ASSERT_OK(different);
      EXPECT_TRUE(different.value().empty());
    }
  }
  static std::string named(const std::vector<LeftOut>& ranges) {
    std::string text;
    for (const LeftOut& each : ranges)
      text += std::to_string(each.range.first.value) + "+" + std::to_string(each.range.count.value) + " " +
              std::string(loss_cause_text(each.cause)) + "; ";
    return text;
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_ / "store";
  World world_{posix_file_system(), store_, {{}, {}, true}};
  Image image_{directory_ / "image", kSize};
  SnapshotRecord snapshot_;
};

TEST_F(SkipDamagedFlow, NothingIsLeftOutOfASoundSnapshot) { expect_left_out({}); }

TEST_F(SkipDamagedFlow, ADamagedFrameCostsItsBlocksOnly) {
  rot_frame_of(1024 + 37);
  const auto failed = world_.restore_to(snapshot_, directory_ / "out");
  ASSERT_TRUE(is(failed, ErrorCode::kCorrupt));
  EXPECT_EQ(failed.error().kind(), ErrorKind::kSnapshotHasLosses);
  EXPECT_EQ(failed.error().id(), snapshot_.id.text());
  expect_left_out(of(1024 + 32, kFrame));
}

TEST_F(SkipDamagedFlow, AdjacentFramesAreOneRangeAndTheShortEndIsOne) {
  rot_frame_of(0);
  rot_frame_of(16);
  rot_frame_of(3 * 1024 + 9);
  auto left_out = of(0, 2 * kFrame);
  left_out.push_back(of(3 * 1024, 10).front());
  expect_left_out(left_out);
}

TEST_F(SkipDamagedFlow, ALeafCostsItsRange) {
  LeafCursor cursor(*world_.repo().nodes().take(), tree_root(snapshot_));
  rot_node(cursor.at(1).take().ref.id);
  expect_left_out(of(1024, 1024));
}

TEST_F(SkipDamagedFlow, TheRootCostsAll) {
  ASSERT_TRUE(snapshot_.root.is_node());
  rot_node(snapshot_.root.id);
  expect_left_out(of(0, 3 * 1024 + 10));
}

// In a larger volume with holes, an inner node of the level below the root covers 1 GiB.
TEST_F(SkipDamagedFlow, AnInnerNodeCostsWhatItCovers) {
  constexpr std::uint64_t kGiB = 1ULL << 30;
  Image large(directory_ / "large", 2 * kGiB + kLeaf);
  ByteVector noise(3 * kBlockBytes);
  Prng(9).fill(noise);
  std::fstream out(large.path(), std::ios::binary | std::ios::in | std::ios::out);
  for (const std::uint64_t at : {kLeaf, kGiB + 5 * kLeaf, 2 * kGiB}) {
    Prng(at).fill(noise);
    out.seekp(static_cast<std::streamoff>(at));
    out.write(reinterpret_cast<const char*>(noise.data()), static_cast<std::streamsize>(noise.size()));
  }
  out.close();
  const SnapshotRecord snapshot = captured(large);
  LeafCursor cursor(*world_.repo().nodes().take(), tree_root(snapshot));
  const Subtree middle = cursor.subtree(1, 256).take();
  ASSERT_TRUE(middle.ref.is_node());
  rot_node(middle.ref.id);
  ASSERT_OK(world_.open());
  const auto restored = world_.restore_to(snapshot, directory_ / "out", skipping());
  ASSERT_OK(restored);
  EXPECT_TRUE(restored.value().left_out == of(kGiB / kBlockBytes, kGiB / kBlockBytes))
      << named(restored.value().left_out);
  const auto different = world_.compare_with(snapshot, directory_ / "out");
  EXPECT_FALSE(different.ok()) << "without the list of what was left out the node is missed";
  const auto target = Target::open_to_compare(directory_ / "out").take();
  RestoreProgress progress;
  const auto compared =
      compare(world_.repo().read_parts().take(), snapshot, *target, progress, {}, restored.value().left_out);
  ASSERT_OK(compared);
  EXPECT_TRUE(compared.value().empty());
}

TEST_F(SkipDamagedFlow, AMissingPackCostsItsBlocks) {
  // A second pack, with one leaf's worth of the image.
  ByteVector noise(5 * kBlockBytes);
  Prng(10).fill(noise);
  image_.write(2 * kLeaf + 100 * kBlockBytes, noise);
  const auto before = list_packs(world_.repo().objects(), PackKind::kData).take();
  snapshot_ = captured(image_);
  World open(posix_file_system(), store_, {{}, {}, true});
  ASSERT_OK(open.open());
  ASSERT_OK(open.repo().read_parts());
  for (const auto& pack : list_packs(world_.repo().objects(), PackKind::kData).take()) {
    const bool is_old =
        std::any_of(before.begin(), before.end(), [&](const auto& b) { return b.id == pack.id; });
    if (!is_old) fs::remove(pack_path(pack.id));
  }
  expect_left_out(of(2 * 1024 + 100, 5));
  // A process whose index still knows the pack.
  const auto restored = open.restore_to(snapshot_, directory_ / "out", skipping());
  ASSERT_OK(restored);
  EXPECT_TRUE(restored.value().left_out == of(2 * 1024 + 100, 5)) << named(restored.value().left_out);
}

TEST_F(SkipDamagedFlow, WhatTheSourceLostIsLeftOutAndNamed) {
  const std::vector<std::uint64_t> bad = {7, 8, 1500};
  BadSectors source(open_source(image_.path(), {}).take(), bad);
  CaptureOptions options;
  options.skip_unreadable = true;
  const auto report = world_.capture_source(source, options);
  ASSERT_OK(report);
  snapshot_ = report.value().record;
  rot_frame_of(1024 + 37);
  auto left_out = of(7, 2, LossCause::kSource);
  left_out.push_back(of(1024 + 32, kFrame).front());
  left_out.push_back(of(1500, 1, LossCause::kSource).front());
  expect_left_out(left_out);
}

TEST_F(SkipDamagedFlow, ADiskThatFailsToReadIsSaidAndOtherErrorsEndTheRestore) {
  const PackId pack = list_packs(world_.repo().objects(), PackKind::kData).take().at(0).id;
  for (const int error : {EIO, EMFILE, EACCES}) {
    SCOPED_TRACE(error);
    FailingPack files(posix_file_system(), error);
    World world(files, store_, {{}, {}, true});
    ASSERT_OK(world.open());
    ASSERT_OK(world.repo().read_parts());  // the index knows the pack
    files.fail(pack.hex());
    const std::string out = directory_ / "out";
    fs::remove(out);
    fs::remove(partial_name(out));
    const auto restored = world.restore_to(snapshot_, out, skipping());
    EXPECT_EQ(restored.ok(), error == EIO);
    if (restored.ok()) {
      EXPECT_TRUE(restored.value().left_out == of(0, 3 * 1024 + 10, LossCause::kDisk));
    } else {
      EXPECT_EQ(restored.error().error_number(), error);
      EXPECT_FALSE(fs::exists(out));
    }
    // An index that could not take in the pack.
    ASSERT_OK(world.open());
    const std::string late = directory_ / "late";
    fs::remove(late);
    const auto again = world.restore_to(snapshot_, late, skipping());
    EXPECT_EQ(again.ok(), error == EIO);
    fs::remove(partial_name(late));
  }
}

TEST_F(SkipDamagedFlow, AStoreThatIsGoneIsNotALoss) {
  rot_frame_of(5);
  ASSERT_OK(world_.open());
  RestoreOptions options = skipping();
  int asked = 0;
  options.check_losses = [&]() -> Status {
    ++asked;
    return not_found("no such snapshot");
  };
  const auto restored = world_.restore_to(snapshot_, directory_ / "out", options);
  EXPECT_TRUE(is(restored, ErrorCode::kNotFound));
  EXPECT_EQ(asked, 1);
  EXPECT_FALSE(fs::exists(directory_ / "out")) << "the file has not its own name";
}

// The partial file of an earlier restore may hold other data: there, what is left out reads as zeros.
TEST_F(SkipDamagedFlow, APartialFileHasHolesWhereItIsLeftOut) {
  rot_frame_of(5);
  ASSERT_OK(world_.open());
  const std::string out = directory_ / "out";
  ByteVector garbage(kSize);
  Prng(11).fill(garbage);
  Image(partial_name(out), kSize).write(0, garbage);
  const auto restored = world_.restore_to(snapshot_, out, skipping());
  ASSERT_OK(restored);
  EXPECT_TRUE(restored.value().left_out == of(0, kFrame));
  EXPECT_TRUE(file_bytes(out) == expected(of(0, kFrame), ByteVector(kSize)));
}

// A target that holds the right bytes of a damaged frame is not read from the store there.
TEST_F(SkipDamagedFlow, DeltaLeavesOutNothingThatIsInPlace) {
  rot_frame_of(5);
  ASSERT_OK(world_.open());
  Image target(directory_ / "target", kSize);
  target.write(0, image_.model());
  const auto restored = world_.restore_to(snapshot_, target.path(), skipping(true));
  ASSERT_OK(restored);
  EXPECT_TRUE(restored.value().left_out.empty());
}

}  // namespace
}  // namespace ashlar
