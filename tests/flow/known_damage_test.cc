// Tests of what is known to be damaged: after verify, or a read, has found a rotten frame, no process relies
// on it; the source captured again heals the data; and a finding names what it touches, no more and no less.
#include <algorithm>

#include "catalog/images.h"
#include "catalog/volumes.h"
#include "flow/world.h"
#include "image/register.h"
#include "transfer/copy.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMega = 1 << 20;
constexpr std::size_t kFrameOfThree = 3;

// A source that calls `begins` when its reading begins.
class WatchedReading : public Source {
 public:
  WatchedReading(std::unique_ptr<Source> disk, std::function<void()> begins)
      : disk_(std::move(disk)), begins_(std::move(begins)) {}
  SourceType type() const override { return disk_->type(); }
  const std::string& name() const override { return disk_->name(); }
  std::string identity() const override { return disk_->identity(); }
  std::optional<ByteCount> size() const override { return disk_->size(); }
  Result<SourceExtent> next_extent(ByteOffset offset) override { return disk_->next_extent(offset); }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return disk_->changed_extents();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    begins_();
    return disk_->read(std::move(plan));
  }

 private:
  std::unique_ptr<Source> disk_;
  std::function<void()> begins_;
};

class KnownDamageFlow : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{store_}, {}));
    ASSERT_OK(world_.open());
    ASSERT_OK(other_.open());
    ByteVector noise(image_.model().size());
    Prng(99).fill(noise);
    image_.write(0, noise);
    first_ = captured({});
  }

  CaptureOptions on(const std::optional<SnapshotRecord>& parent) const {
    CaptureOptions options;
    options.parent = parent;
    options.change_token = "one";
    options.threads = 1;
    return options;
  }
  SnapshotRecord captured(const std::optional<SnapshotRecord>& parent, World* world = nullptr) {
    auto report = (world != nullptr ? *world : world_).capture_file(image_.path(), on(parent));
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.value().record : SnapshotRecord{};
  }

  // The only data pack of the first capture, and its segments in the order of the image.
  PackId pack() { return list_packs(world_.repo().objects(), PackKind::kData).take().at(0).id; }
  std::shared_ptr<const LocatedSegment> segment(std::size_t number) {
    Index& index = *world_.repo().index().take();
    const SegmentId id = index.pack_segments(pack_).take().at(number).id;
    return SegmentReader(world_.repo().objects(), index).locate(id).take();
  }
  // Flips a bit of a frame. Calling it twice mends the frame.
  void flip_frame(std::size_t segment_number, std::size_t frame) {
    const std::uint64_t at = segment(segment_number)->frame_offsets[frame];
    const std::string path = store_ + "/" + pack_key(PackKind::kData, pack_);
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(file.get() ^ 0x20);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(byte);
  }
  void rot(std::size_t segment_number, std::size_t frame) {
    pack_ = pack();
    flip_frame(segment_number, frame);
    ASSERT_OK(world_.open());
    ASSERT_OK(other_.open());
  }
  VerifyReport verified(World* world = nullptr) {
    auto report = (world != nullptr ? *world : world_).verify();
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.take() : VerifyReport{};
  }
  void expect_restores(World& world, const SnapshotRecord& snapshot) {
    const std::string out = directory_ / "out";
    std::filesystem::remove(out);
    ASSERT_OK(world.restore_to(snapshot, out));
    EXPECT_TRUE(file_bytes(out) == image_.model());
  }
  std::optional<DamageRecord> recorded() {
    return DamageCatalog(world_.repo().objects(), world_.repo().config().id).find(pack_).take();
  }

  TemporaryDirectory directory_;
  std::string store_ = directory_ / "store";
  World world_{posix_file_system(), store_, {{}, {}, true}};
  World other_{posix_file_system(), store_, {{}, {}, true}};  // another process
  Image image_{directory_ / "image", 8 * kMega};
  SnapshotRecord first_;
  PackId pack_;
};

TEST_F(KnownDamageFlow, VerifyNamesItAndTheSourceCapturedAgainHealsIt) {
  rot(0, kFrameOfThree);
  const VerifyReport report = verified();
  ASSERT_EQ(report.damages.size(), 1U);
  EXPECT_TRUE(report.sound_again.empty());
  EXPECT_TRUE(report.unrecorded.empty());
  ASSERT_TRUE(recorded());
  EXPECT_EQ(recorded()->segments.begin()->second.damaged, FrameSet().set(kFrameOfThree));

  // This process, one that was open before, and one that is new; with a parent and without.
  World fresh(posix_file_system(), store_, {{}, {}, true});
  ASSERT_OK(fresh.open());
  const SnapshotRecord second = captured(first_);
  EXPECT_EQ(second.new_blocks.value, 16U) << "those of the frame";
  for (World* world : {&world_, &other_, &fresh}) {
    expect_restores(*world, second);
    const SnapshotRecord again = captured(first_, world);
    EXPECT_EQ(again.new_blocks.value, 0U);
    expect_restores(*world, again);
    expect_restores(*world, captured({}, world));
  }

  const VerifyReport later = verified(&fresh);
  ASSERT_EQ(later.damages.size(), 1U);
  ASSERT_EQ(later.damages[0].losses.size(), 1U) << "only the first snapshot stays damaged";
  EXPECT_EQ(later.damages[0].losses[0].snapshot, first_.id);
  EXPECT_EQ(recorded()->revision, 1U) << "nothing new";
}

TEST_F(KnownDamageFlow, AProcessThatWasOpenBeforeDoesNotRelyOnIt) {
  rot(1, 0);
  ASSERT_OK(other_.repo().write_parts());  // its index and its directories are loaded
  verified();
  expect_restores(other_, captured(first_, &other_));
}

TEST_F(KnownDamageFlow, AFindingNamesSnapshotsRangesImagesAndVolumesExactly) {
  const SnapshotRecord second = captured(first_);
  Image unrelated(directory_ / "unrelated", kMega);
  Prng prng(3);
  unrelated.edit(prng);
  ASSERT_OK(world_.capture_file(unrelated.path(), {}));
  ObjectStore& objects = world_.repo().objects();
  ImageRecord image;
  image.owner = AccountId{1};
  image.name = "web";
  image.root_device = "/dev/sda";
  image.devices.resize(1);
  image.devices[0].name = "/dev/sda";
  image.devices[0].content.snapshot = first_.id;
  ImageCatalog images(objects);
  const auto registered = register_image(images, world_.repo().snapshots(), image);
  ASSERT_OK(registered);
  VolumeRecord volume;
  volume.id = VolumeId{7};
  volume.store = world_.repo().config().id;
  volume.size = second.size;
  volume.base = second.id;
  ASSERT_OK(VolumeCatalog(objects).publish(volume));
  pack_ = pack();
  flip_frame(0, 1);
  flip_frame(0, 2);
  ASSERT_OK(world_.open());

  const VerifyReport report = verified();
  ASSERT_EQ(report.damages.size(), 2U);
  for (const Damage& damage : report.damages) {
    EXPECT_TRUE(damage.sound_in.empty());
    ASSERT_EQ(damage.losses.size(), 2U);
    for (const Damage::Loss& loss : damage.losses) {
      const BlockRange range{Lba{*damage.frame * 16}, BlockCount{16}};
      EXPECT_EQ(loss.ranges, std::vector{range});
      EXPECT_EQ(loss.images.size(), loss.snapshot == first_.id ? 1U : 0U);
      EXPECT_EQ(loss.volumes.size(), loss.snapshot == second.id ? 1U : 0U);
    }
  }
}

TEST_F(KnownDamageFlow, ASoundSecondPlaceIsNoLoss) {
  // A copy within the store stores a segment again as a whole when a frame of it is known to be damaged.
  rot(0, 5);
  verified();
  flip_frame(0, 5);  // so that the copy can read it
  ASSERT_OK(world_.open());
  CopyProgress progress;
  ASSERT_OK(copy_snapshots(world_.repo().read_parts().take(), world_.repo().write_parts().take(), {first_},
                           {SnapshotId{77}}, progress, {}));
  flip_frame(0, 5);
  ASSERT_OK(world_.open());
  const VerifyReport report = verified();
  ASSERT_EQ(report.damages.size(), 1U) << "there is damage to mend";
  EXPECT_TRUE(report.damages[0].losses.empty()) << "and nothing is lost";
  ASSERT_EQ(report.damages[0].sound_in.size(), 1U);
  EXPECT_NE(*report.damages[0].sound_in.begin(), pack_);
  expect_restores(world_, first_);
}

TEST_F(KnownDamageFlow, AReadThatFindsItRecordsIt) {
  rot(1, 2);
  EXPECT_TRUE(is(world_.restore_to(first_, directory_ / "out"), ErrorCode::kCorrupt));
  EXPECT_EQ(world_.repo().take_damage_notes().size(), 1U);
  ASSERT_TRUE(recorded());
  const SnapshotRecord second = captured(first_, &other_);
  expect_restores(other_, second);
}

TEST_F(KnownDamageFlow, WhatIsSoundAgainIsTakenBackAndSaid) {
  rot(0, 7);
  verified();
  flip_frame(0, 7);
  ASSERT_OK(world_.open());
  const VerifyReport report = verified();
  EXPECT_TRUE(report.damages.empty());
  ASSERT_EQ(report.sound_again.size(), 1U);
  EXPECT_EQ(report.sound_again[0].frame, 7U);
  EXPECT_EQ(report.sound_again[0].segment, segment(0)->directory.id);
  EXPECT_TRUE(recorded()->is_empty());
  EXPECT_TRUE(verified().sound_again.empty());
  EXPECT_EQ(captured(first_, &other_).new_blocks.value, 0U);
}

TEST_F(KnownDamageFlow, DamageFoundWhileACaptureRunsMakesItRunAgain) {
  rot(0, 4);
  bool is_found = false;
  const auto find = [&] {
    if (!std::exchange(is_found, true)) verified(&other_);
  };
  WatchedReading source(open_source(image_.path(), {}).take(), find);
  const auto refused = world_.capture_source(source, on(first_));
  ASSERT_TRUE(is(refused, ErrorCode::kBusy));
  EXPECT_NE(refused.error().text().find("run again"), std::string::npos) << refused.error().text();
  EXPECT_EQ(world_.repo().snapshots().list_ids().take().size(), 1U);
  const auto again = world_.capture_source(source, on(first_));
  ASSERT_OK(again);
  expect_restores(world_, again.value().record);
}

TEST_F(KnownDamageFlow, AMapDoesNotHideDamageOfWhatItLeavesOut) {
  rot(1, 1);
  verified();
  CaptureOptions options = on(first_);
  options.changed = ChangedMap{{}, "one"};
  const auto report = world_.capture_file(image_.path(), options);
  ASSERT_OK(report);
  ASSERT_EQ(report.value().warnings.size(), 1U);
  EXPECT_NE(report.value().warnings[0].find("1 piece of 4 MiB was read again"), std::string::npos)
      << report.value().warnings[0];
  expect_restores(world_, report.value().record);
}

TEST_F(KnownDamageFlow, AnExactMapKeepsWhatTheVolumeItselfHasLost) {
  rot(1, 1);
  verified();
  CaptureOptions options = on(first_);
  options.changed = ChangedMap{{{ByteOffset{0}, ByteCount{kRegionBytes}, SourceState::kData},
                                {ByteOffset{5 * kMega}, ByteCount{kRegionBytes}, SourceState::kData}},
                               "one"};
  options.changed->is_exact = true;
  const auto report = world_.capture_file(image_.path(), options);
  ASSERT_OK(report);
  EXPECT_EQ(report.value().record.content, first_.content);
  EXPECT_TRUE(report.value().warnings.empty());
}

TEST_F(KnownDamageFlow, ACopySendsWhatIsDamagedThere) {
  const std::string there_path = directory_ / "there";
  ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{there_path}, {}));
  World there(posix_file_system(), there_path, {{}, {}, true});
  ASSERT_OK(there.open());
  rot(0, 6);
  verified();
  flip_frame(0, 6);
  // The store with damage is the target; the other one is given a sound copy of the data first.
  ASSERT_OK(world_.open());
  CopyProgress progress;
  const auto sound = copy_snapshots(world_.repo().read_parts().take(), there.repo().write_parts().take(),
                                    {first_}, {SnapshotId{5}}, progress, {});
  ASSERT_OK(sound);
  flip_frame(0, 6);
  ASSERT_OK(world_.open());
  const auto back = copy_snapshots(there.repo().read_parts().take(), world_.repo().write_parts().take(),
                                   sound.value().records, {SnapshotId{6}}, progress, {});
  ASSERT_OK(back);
  EXPECT_EQ(back.value().segments_sent, 1U);
  expect_restores(world_, back.value().records.at(0));
  expect_restores(other_, first_);
}

TEST_F(KnownDamageFlow, ARottenRecordOfDamageIsFoundAndMadeAnew) {
  rot(0, 4);
  verified();
  const std::string path = store_ + "/" + DamageCatalog::key_of(pack_);
  ByteVector bytes = file_bytes(path);
  bytes[40] ^= std::byte{4};
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  ASSERT_OK(other_.open());
  expect_restores(other_, captured(first_, &other_));
  const VerifyReport report = verified();
  ASSERT_EQ(report.damages.size(), 2U) << "the record, and the frame";
  EXPECT_EQ(report.damages[0].object, DamageCatalog::key_of(pack_));
  ASSERT_TRUE(recorded());
  EXPECT_FALSE(recorded()->is_whole);
  EXPECT_EQ(recorded()->segments.begin()->second.damaged, FrameSet().set(4));
  EXPECT_EQ(verified().damages.size(), 1U);
}

TEST_F(KnownDamageFlow, TheRecordOfAPackThatIsGoneIsRemoved) {
  DamageRecord left;
  left.pack.bytes.fill(std::byte{9});
  left.is_whole = true;
  DamageCatalog catalog(world_.repo().objects(), world_.repo().config().id);
  ASSERT_OK(catalog.add(left));
  EXPECT_TRUE(verified().damages.empty());
  EXPECT_TRUE(catalog.list_ids().take().empty());
}

}  // namespace
}  // namespace ashlar
