// Tests of first reads: what one serving of a snapshot reads first, the next one fetches before it is asked
// for it.
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "catalog/traces.h"
#include "flow/volumes.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kImageBytes = 48 << 20;
constexpr std::size_t kReads = 200;

class WarmUps : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{directory_ / "store"}, {}));
    ASSERT_OK(world_.open());
    snapshot_ = captured("image", 1);
  }

  // Captures an image of noise, which no frame can compress, and returns its snapshot.
  SnapshotRecord captured(const std::string& name, std::uint64_t seed) {
    Image image(directory_ / name, kImageBytes);
    std::vector<std::byte> noise(kImageBytes);
    Prng(seed).fill(noise);
    image.write(0, noise);
    return world_.capture_file(image.path()).take().record;
  }

  // Returns the offsets of the reads of a "boot", which are the same each time.
  static std::vector<std::uint64_t> boot() {
    Prng prng(42);
    std::vector<std::uint64_t> offsets;
    for (std::size_t i = 0; i < kReads; ++i) offsets.push_back(prng.below(kImageBytes / 8192 - 1) * 8192);
    return offsets;
  }
  static void read_all(Volume& volume, const std::vector<std::uint64_t>& offsets, ByteSpan truth) {
    std::vector<std::byte> out(8192);
    for (const std::uint64_t offset : offsets) {
      ASSERT_OK(volume.read(ByteOffset{offset}, out));
      ASSERT_TRUE(bytes_equal(out, truth.subspan(offset, out.size()))) << offset;
    }
  }
  std::vector<std::byte> truth(const std::string& name = "image") { return file_bytes(directory_ / name); }

  // Serves the snapshot once without fetching ahead, and writes the trace of what was read.
  void serve_once(const std::string& name) {
    Serving serving(world_);
    const auto volume = serving.volume(directory_, name, snapshot_);
    const auto warm_up = serving.warm_up(*volume);
    read_all(*volume, boot(), truth());
    warm_up->finish();
  }

  TemporaryDirectory directory_;
  World world_{posix_file_system(), directory_ / "store"};
  SnapshotRecord snapshot_;
};

// Runs a warm-up on a thread of its own. The test can wait until everything expected is fetched, without the
// wait for the first reads that follows in WarmUp::run().
class Running {
 public:
  explicit Running(WarmUp& warm_up)
      : warm_up_(warm_up), thread_([this](const std::stop_token& stop) { warm_up_.run(stop); }) {}
  void wait_until_fetched() const {
    const WarmUp::Counters& counters = warm_up_.counters();
    for (int i = 0; i < 3000; ++i) {
      if (counters.expected_regions != 0 && counters.fetched_regions == counters.expected_regions) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL() << counters.fetched_regions << " of " << counters.expected_regions;
  }

 private:
  WarmUp& warm_up_;
  std::jthread thread_;
};

TEST_F(WarmUps, ABootPackBringsEverythingInThreeReads) {
  serve_once("first");
  Serving serving(world_);
  serving.remote.delay = std::chrono::milliseconds(20);
  const auto volume = serving.volume(directory_, "second", snapshot_);
  const auto warm_up = serving.warm_up(*volume);
  warm_up->prepare();
  const Running running(*warm_up);
  read_all(*volume, boot(), truth());  // starts at once, while the boot pack is still loading
  running.wait_until_fetched();
  EXPECT_TRUE(warm_up->counters().from_boot_pack);
  EXPECT_LE(serving.remote.reads, 3U) << "the trace, and two for the boot pack";
  EXPECT_EQ(serving.fetched_frames(), 0U);
}

TEST_F(WarmUps, ATraceAloneIsFetchedAhead) {
  serve_once("first");
  TraceCatalog traces(world_.repo().objects());
  const auto trace = traces.get(snapshot_.id).take();
  ASSERT_TRUE(trace);
  ASSERT_OK(traces.remove_boot_pack(snapshot_.id, trace->boot_pack));
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "second", snapshot_);
  const auto warm_up = serving.warm_up(*volume);
  warm_up->prepare();
  {
    const Running running(*warm_up);
    running.wait_until_fetched();
  }
  EXPECT_FALSE(warm_up->counters().from_boot_pack);
  const std::uint64_t before = serving.remote.reads;
  EXPECT_GT(before, 100U);
  read_all(*volume, boot(), truth());
  EXPECT_EQ(serving.remote.reads, before) << "nothing is asked for twice";
  // A boot pack that could not be loaded is made again at the end.
  warm_up->finish();
  const auto now = traces.get(snapshot_.id).take();
  ASSERT_TRUE(now);
  EXPECT_EQ(now->servings, 2U);
  EXPECT_NE(now->boot_pack, trace->boot_pack);
  ASSERT_OK(world_.repo().objects().stat(boot_pack_key(snapshot_.id, now->boot_pack)));
}

TEST_F(WarmUps, WhatOneAccountReadsIsNothingToAnother) {
  const AccountId stranger{123456789012};
  const auto serve = [&](const std::string& name, AccountId owner) {
    Serving serving(world_);
    const auto volume = serving.volume(directory_, name, snapshot_);
    const auto warm_up = serving.warm_up(*volume, owner);
    warm_up->prepare();
    read_all(*volume, boot(), truth());
    warm_up->finish();
  };
  ObjectStore& objects = world_.repo().objects();
  serve("first", {});
  TraceCatalog theirs(objects, stranger);
  EXPECT_FALSE(theirs.get(snapshot_.id).take());
  EXPECT_EQ(theirs.list().take(), std::vector<SnapshotId>{});
  {
    Serving serving(world_);
    const auto volume = serving.volume(directory_, "second", snapshot_);
    const auto warm_up = serving.warm_up(*volume, stranger);
    warm_up->prepare();
    const std::uint64_t before = serving.remote.reads;
    {
      const Running running(*warm_up);
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    EXPECT_EQ(warm_up->counters().expected_regions, 0U);
    EXPECT_LE(serving.remote.reads, before + 2) << "looks for traces, and fetches nothing";
  }
  serve("third", stranger);
  EXPECT_EQ(theirs.get(snapshot_.id).take()->servings, 1U);
  EXPECT_EQ(theirs.list().take(), std::vector{snapshot_.id});
  EXPECT_EQ(TraceCatalog(objects).get(snapshot_.id).take()->servings, 1U);
  ASSERT_OK(theirs.forget(snapshot_.id));
  EXPECT_TRUE(TraceCatalog(objects).get(snapshot_.id).take());
  serve("fourth", stranger);
  ASSERT_OK(TraceCatalog(objects).remove(snapshot_.id));
  EXPECT_FALSE(theirs.get(snapshot_.id).take()) << "with its snapshot all of it goes";
}

TEST_F(WarmUps, ADamagedBootPackHarmsNothing) {
  serve_once("first");
  const auto trace = TraceCatalog(world_.repo().objects()).get(snapshot_.id).take();
  const std::string path = (directory_ / "store/") + boot_pack_key(snapshot_.id, trace->boot_pack);
  for (const std::uint64_t at : {std::uint64_t{3}, std::uint64_t{70}, trace->pack_bytes / 2}) {
    SCOPED_TRACE(at);
    const auto sound = file_bytes(path);
    {
      std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
      out.seekp(static_cast<std::streamoff>(at));
      out.put(static_cast<char>(std::to_integer<int>(sound[at]) ^ 0x40));
    }
    Serving serving(world_);
    const auto volume = serving.volume(directory_, "second-" + std::to_string(at), snapshot_);
    const auto warm_up = serving.warm_up(*volume);
    warm_up->prepare();
    {
      const Running running(*warm_up);
      running.wait_until_fetched();
    }
    EXPECT_FALSE(warm_up->counters().from_boot_pack);
    read_all(*volume, boot(), truth());
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(sound.data()), static_cast<std::streamsize>(sound.size()));
  }
}

TEST_F(WarmUps, AStoreThatFailsMeanwhileFailsNoReaderLater) {
  serve_once("first");
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "second", snapshot_);
  serving.remote.fault = Fault::kError;
  const std::uint64_t before = serving.remote.reads;
  const auto warm_up = serving.warm_up(*volume);
  warm_up->prepare();
  {
    const Running running(*warm_up);
    for (int i = 0; i < 2000 && serving.remote.reads == before; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_GT(serving.remote.reads, before) << "the warm-up met the fault";
  }
  serving.remote.fault = Fault::kNone;
  read_all(*volume, boot(), truth());
}

// A rebuilt image has half of the old one's content, at other places.
TEST_F(WarmUps, AnotherImageWithTheSameContentStartsWarm) {
  serve_once("first");
  const auto old = truth();
  Image image(directory_ / "rebuilt", kImageBytes);
  constexpr std::uint64_t kMoved = 1 << 20;
  image.write(kMoved, ByteSpan(old).first(kImageBytes / 2));
  std::vector<std::byte> noise(kImageBytes / 4);
  Prng(9).fill(noise);
  image.write(kImageBytes / 2 + kMoved, noise);
  const SnapshotRecord rebuilt = world_.capture_file(image.path()).take().record;
  ASSERT_EQ(rebuilt.parent.value, 0U) << "nothing but the content says that they are alike";

  std::vector<std::uint64_t> moved;
  for (const std::uint64_t offset : boot()) {
    if (offset + 8192 <= kImageBytes / 2) moved.push_back(offset + kMoved);
  }
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "rebuilt-volume", rebuilt);
  const auto warm_up = serving.warm_up(*volume);
  warm_up->prepare();
  {
    const Running running(*warm_up);
    running.wait_until_fetched();
  }
  const std::uint64_t before = serving.remote.reads;
  read_all(*volume, moved, truth("rebuilt"));
  EXPECT_EQ(serving.remote.reads, before) << "all of it was foreseen";
}

TEST_F(WarmUps, ASnapshotOfAVolumeInheritsTheTraceOfItsParent) {
  serve_once("first");
  Image image(directory_ / "later", kImageBytes);
  image.write(0, truth());
  std::vector<std::byte> noise(4096);
  Prng(3).fill(noise);
  for (const std::uint64_t offset : boot()) image.write(offset, noise);
  CaptureOptions options;
  options.parent = snapshot_;
  const SnapshotRecord later = world_.capture_file(image.path(), options).take().record;
  Serving serving(world_);
  const auto volume = serving.volume(directory_, "later-volume", later);
  const auto warm_up = serving.warm_up(*volume);
  warm_up->prepare();
  {
    const Running running(*warm_up);
    running.wait_until_fetched();
  }
  const std::uint64_t before = serving.remote.reads;
  read_all(*volume, boot(), truth("later"));
  EXPECT_EQ(serving.remote.reads, before);
}

TEST_F(WarmUps, TenVolumesOfOneImageReadEachFrameOnce) {
  Serving serving(world_);
  std::vector<std::unique_ptr<Volume>> volumes;
  for (int i = 0; i < 10; ++i)
    volumes.push_back(serving.volume(directory_, "v" + std::to_string(i), snapshot_));
  read_all(*volumes.front(), boot(), truth());
  const std::uint64_t frames = serving.fetched_frames();
  std::vector<std::jthread> machines;
  for (const auto& volume : volumes) machines.emplace_back([&] { read_all(*volume, boot(), truth()); });
  machines.clear();
  EXPECT_EQ(serving.fetched_frames(), frames);
}

TEST_F(WarmUps, AtTheSameTimeToo) {
  Serving serving(world_);
  serving.remote.delay = std::chrono::milliseconds(2);
  std::vector<std::unique_ptr<Volume>> volumes;
  for (int i = 0; i < 10; ++i)
    volumes.push_back(serving.volume(directory_, "v" + std::to_string(i), snapshot_));
  std::vector<std::jthread> machines;
  for (const auto& volume : volumes) machines.emplace_back([&] { read_all(*volume, boot(), truth()); });
  machines.clear();
  const std::uint64_t together = serving.fetched_frames();
  Serving again(world_);
  const auto alone = again.volume(directory_, "alone", snapshot_);
  read_all(*alone, boot(), truth());
  EXPECT_EQ(together, again.fetched_frames());
}

TEST_F(WarmUps, ACopyOfAVolumeIsNoBoot) {
  FirstReads reads;
  for (std::uint64_t region = 0; region <= FirstReads::kMostRegions; ++region)
    reads.note({Lba{region * kTraceRegionBlocks}, BlockCount{1}}, 1);
  EXPECT_TRUE(reads.has_ended());
  EXPECT_TRUE(reads.take().empty());
}

TEST_F(WarmUps, TheOrderSettlesWhenNothingNewIsRead) {
  FirstReads reads;
  EXPECT_FALSE(reads.has_settled(1000)) << "nothing was read yet";
  reads.note({Lba{40}, BlockCount{20}}, 1);
  reads.note({Lba{0}, BlockCount{1}}, 2);
  for (double now = 3; now < 21; ++now) reads.note({Lba{40}, BlockCount{1}}, now);
  EXPECT_FALSE(reads.has_settled(21));
  EXPECT_TRUE(reads.has_settled(22));
  EXPECT_EQ(reads.take(), (RegionOrder{2, 3, 0}));
}

TEST_F(WarmUps, MergingKeepsWhatTheLastServingsRead) {
  TraceRecord trace;
  trace.snapshot = SnapshotId{1};
  const RegionOrder odd = {9, 8, 7};
  trace = merged(trace, odd);
  EXPECT_EQ(order_of(trace), odd);
  const RegionOrder other = {8, 9, 5};
  for (int i = 0; i < 3; ++i) trace = merged(trace, other);
  EXPECT_EQ(order_of(trace), (RegionOrder{8, 9, 5, 7}));
  EXPECT_DOUBLE_EQ(news(TraceRecord{}, trace), 1);
  trace = merged(trace, other);
  EXPECT_EQ(order_of(trace), (RegionOrder{8, 9, 5})) << "7 was read five servings ago";
}

}  // namespace
}  // namespace ashlar
