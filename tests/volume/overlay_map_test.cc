// Tests of an overlay's map: torn ends, flipped bits, and how long a large one takes to open.
#include <chrono>
#include <cstring>
#include <iostream>

#include "base/random.h"
#include "codec/hash.h"
#include "simulated/simulated_file_system.h"
#include "support/temporary_directory.h"
#include "volume/overlay.h"
#include "volume/overlay_map_file.h"

namespace ashlar {
namespace {

constexpr VolumeId kVolume{3};

using Holds = std::vector<HoldRun>;

void put_file(FileSystem& files, const std::string& path, ByteSpan bytes) {
  static_cast<void>(files.remove(path));
  auto file = files.create(path).take();
  file->append(bytes).take();
  file->sync().take();
}

// An overlay after three flushes: the block states confirmed at its creation and by each flush, and the
// length of the map file at those moments.
struct Flushed {
  SimulatedFileSystem files;
  std::vector<Holds> states;
  std::vector<std::size_t> ends;
  ByteVector map;

  Flushed() {
    auto overlay = Overlay::create(files, "", kVolume, ByteCount{9 << 20}, SnapshotId{1}).take();
    note(*overlay);
    overlay->write(ByteOffset{0}, ByteVector(3 * kBlockBytes)).take();
    overlay->flush().take();
    note(*overlay);
    overlay->write_zeroes(ByteOffset{4 << 20}, ByteCount{4 << 20}, true).take();
    overlay->flush().take();
    note(*overlay);
    overlay->put_clean(Lba{100}, ByteVector(50 * kBlockBytes)).take();
    overlay->write(ByteOffset{8 << 20}, ByteVector(1 << 20)).take();
    overlay->flush().take();
    note(*overlay);
  }
  void note(const Overlay& overlay) {
    map = read_file(files, "/map", 1 << 20).take();
    states.push_back(overlay.states({Lba{0}, BlockCount{(9 << 20) / kBlockBytes}}));
    ends.push_back(map.size());
  }
  Result<Holds> states_of(ByteSpan bytes) {
    put_file(files, "/map", bytes);
    auto overlay = TRY(Overlay::open(files, "", kVolume));
    return overlay->states({Lba{0}, BlockCount{(9 << 20) / kBlockBytes}});
  }
};

TEST(OverlayMap, EveryFlippedBitOfTheHeaderIsDamage) {
  const ByteVector sound = encode(OverlayMapHeader{kVolume, 0x5a17});
  ASSERT_TRUE(decode_overlay_map_header(sound).ok());
  for (std::size_t bit = 0; bit < sound.size() * 8; ++bit) {
    ByteVector flipped = sound;
    flipped[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    EXPECT_TRUE(is(decode_overlay_map_header(flipped), ErrorCode::kCorrupt)) << bit;
  }
  ByteVector newer(sound.begin(), sound.end() - 8);
  newer[8] = std::byte{kOverlayMapVersion + 1};
  const std::uint64_t sum = checksum64(newer);
  newer.resize(sound.size());
  std::memcpy(newer.data() + newer.size() - sizeof sum, &sum, sizeof sum);
  EXPECT_TRUE(is(decode_overlay_map_header(newer), ErrorCode::kUnsupported));
}

TEST(OverlayMap, ATornEndIsDroppedAtEveryLength) {
  Flushed flushed;
  for (std::size_t length = flushed.ends[2]; length < flushed.map.size(); ++length) {
    const auto states = flushed.states_of(ByteSpan(flushed.map).first(length));
    ASSERT_TRUE(states.ok()) << states.error().text();
    EXPECT_EQ(states.value(), flushed.states[2]) << length;
  }
  EXPECT_EQ(flushed.states_of(flushed.map).take(), flushed.states[3]);
  for (std::size_t length = 0; length < flushed.ends[0]; ++length) {
    const auto states = flushed.states_of(ByteSpan(flushed.map).first(length));
    ASSERT_FALSE(states.ok()) << length;
    EXPECT_EQ(states.error().code(), ErrorCode::kCorrupt);
  }
}

TEST(OverlayMap, AFlippedBitIsRefusedUnlessItIsInTheLastTransaction) {
  Flushed flushed;
  for (std::size_t bit = 0; bit < flushed.map.size() * 8; bit += bit < 1000 ? 1 : 3) {
    ByteVector damaged = flushed.map;
    damaged[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    const auto states = flushed.states_of(damaged);
    if (states.ok()) {
      EXPECT_GE(bit / 8, flushed.ends[2]) << bit;
      EXPECT_EQ(states.value(), flushed.states[2]) << bit;
    } else {
      EXPECT_LT(bit / 8, flushed.ends[2]) << bit;
    }
  }
}

TEST(OverlayMap, GarbageBehindTheEndIsATornEnd) {
  Flushed flushed;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    ByteVector bytes = flushed.map;
    Prng prng(seed);
    ByteVector tail(1 + prng.below(5000));
    if (seed % 3 != 0) prng.fill(tail);
    bytes.insert(bytes.end(), tail.begin(), tail.end());
    EXPECT_EQ(flushed.states_of(bytes).take(), flushed.states[3]) << seed;
  }
}

TEST(OverlayMap, AnotherVolumesMapIsRefused) {
  Flushed flushed;
  EXPECT_EQ(Overlay::open(flushed.files, "", VolumeId{4}).error().code(), ErrorCode::kCorrupt);
}

TEST(OverlayMap, IsWrittenAnewWhenItGrewTooLarge) {
  SimulatedFileSystem files;
  constexpr std::uint64_t kChunks = 600;
  auto overlay = Overlay::create(files, "", kVolume, ByteCount{kChunks << 22}, SnapshotId{1}).take();
  const ByteVector block(kBlockBytes);
  for (std::uint64_t round = 0; round < 120; ++round) {
    for (std::uint64_t chunk = 0; chunk < kChunks; ++chunk) {
      overlay->write_zeroes(ByteOffset{(chunk << 22) + round * 2 * kBlockBytes}, ByteCount{kBlockBytes}, true)
          .take();
    }
    overlay->flush().take();
    EXPECT_LE(files.file_size("/map").take(), (8U << 20) + 200'000);
  }
  EXPECT_EQ(overlay->counters().zero.value, 120 * kChunks);
  overlay.reset();
  EXPECT_EQ(Overlay::open(files, "", kVolume).take()->counters().zero.value, 120 * kChunks);
}

// The test prints how long the opening took. It asserts no limit, which would depend on the host.
TEST(OverlayMap, OpensATebibyteOfMixedChunks) {
  const TemporaryDirectory directory;
  constexpr std::uint64_t kChunks = 262'144;
  FileSystem& files = posix_file_system();
  Overlay::create(files, directory.path(), kVolume, ByteCount{kChunks << 22}, SnapshotId{1}).take();
  std::vector<ChunkStates> states(kChunks);
  std::vector<OverlayRecord> records;
  Prng prng(1);
  for (std::uint64_t chunk = 0; chunk < kChunks; ++chunk) {
    prng.fill(states[chunk].bytes);
    records.push_back({.kind = OverlayRecordKind::kStates, .chunk = chunk, .states = &states[chunk]});
  }
  OverlayMapFile map(files, directory.path(), kVolume);
  ASSERT_TRUE(map.rewrite(SnapshotId{1}, ByteCount{kChunks << 22}, std::move(records)).ok());
  const auto begin = std::chrono::steady_clock::now();
  auto overlay = Overlay::open(files, directory.path(), kVolume);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  ASSERT_TRUE(overlay.ok()) << overlay.error().text();
  const auto counters = overlay.value()->counters();
  EXPECT_NEAR(static_cast<double>(counters.dirty.value), 67.1e6, 1e5);
  std::cout << "a map of " << files.file_size(directory / "map").take() << " bytes opened in "
            << seconds.count() << " s\n";
}

}  // namespace
}  // namespace ashlar
