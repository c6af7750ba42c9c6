// Tests that an index is a cache: damaged, deleted, of another format or on a full disk, it answers as if it
// were whole.
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "index/index.h"
#include "index/index_world.h"
#include "index/table_tail.h"
#include "support/remote_objects.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_of(const std::string& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

void flip_byte(const fs::path& file, std::uint64_t offset) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(stream.get());
  stream.seekp(static_cast<std::streamoff>(offset));
  stream.put(static_cast<char>(~byte));
}

// Makes a flushed index over `world` whose rows lie in several table files.
void make_index(World& world, const std::string& path) {
  const auto index = must(Index::open(path, world.objects()));
  std::size_t told = 0;
  for (const auto& [pack, contents] : world.packs()) {
    world.tell(*index, pack);
    if (++told % 4 == 0) must(index->flush());
  }
  must(index->flush());
}

// Opens the index, lets it catch up, and asks everything; flushes it and asks again.
void expect_all_answers(World& world, const std::string& path) {
  const Answers expected = world.expected();
  const auto index = must(Index::open(path, world.objects()));
  must(index->catch_up());
  EXPECT_EQ(world.ask(*index), expected);
  must(index->flush());
  EXPECT_EQ(world.ask(*index), expected);
  EXPECT_TRUE(must(index->stats()).writable);
  EXPECT_EQ(packs_on_disk(path), world.packs().size());
}

TEST(IndexDamageTest, FilesInTheMakingOfAKilledProcessAreRemoved) {
  const TempDir dir;
  World world(dir / "store", 1);
  world.publish_some(2);
  make_index(world, dir / "index");
  const fs::path left = dir / "index/OPTIONS-000002.dbtmp";
  const fs::path other = dir / "index/note";
  for (const fs::path& file : {left, other}) std::ofstream(file) << "x";
  const auto index = must(Index::open(dir / "index", world.objects()));
  EXPECT_TRUE(fs::exists(left)) << "a reader removes nothing";
  world.tell(*index, world.publish_data(1));
  must(index->flush());
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(other));
  expect_all_answers(world, dir / "index");
}

TEST(IndexDamageTest, AFlippedByteInAnyFileChangesNoAnswer) {
  const std::uint64_t seed = random_u64();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));  // seen even if the process dies
  const TempDir dir;
  World world(dir / "store", seed);
  world.publish_some(12);
  make_index(world, dir / "whole");
  std::size_t tables = 0;
  std::size_t manifests = 0;
  for (const fs::path& file : files_of(dir / "whole")) {
    if (fs::file_size(file) == 0) continue;
    tables += file.extension() == ".sst" ? 1U : 0U;
    manifests += file.filename().string().starts_with("MANIFEST") ? 1U : 0U;
    for (int flip = 0; flip < 4; ++flip) {
      const std::uint64_t offset = world.prng().below(fs::file_size(file));
      SCOPED_TRACE(testing::Message() << file << " at " << offset);
      fs::remove_all(dir / "damaged");
      fs::copy(dir / "whole", dir / "damaged");
      flip_byte(fs::path(dir / "damaged") / file.filename(), offset);
      expect_all_answers(world, dir / "damaged");
    }
  }
  EXPECT_GE(tables, 3U);
  EXPECT_EQ(manifests, 1U);
}

// The tail of a table is where one flipped bit aborts RocksDB instead of making it fail:
// engine/index/table_tail.h.
TEST(IndexDamageTest, AFlippedByteInTheTailOfATableNeverEndsTheProcess) {
  const TempDir dir;
  World world(dir / "store", 28);
  world.publish_some(4);
  make_index(world, dir / "whole");
  const auto files = files_of(dir / "whole");
  const auto table =
      std::ranges::find(files, fs::path(".sst"), [](const fs::path& file) { return file.extension(); });
  ASSERT_NE(table, files.end());
  EXPECT_TRUE(table_is_safe_to_open(table->string()));
  const std::uint64_t bytes = fs::file_size(*table);
  int refused = 0;
  for (std::uint64_t at = bytes - std::min<std::uint64_t>(bytes, 220); at < bytes; ++at) {
    SCOPED_TRACE(testing::Message() << *table << " at " << at);
    fs::remove_all(dir / "damaged");
    fs::copy(dir / "whole", dir / "damaged");
    const fs::path victim = fs::path(dir / "damaged") / table->filename();
    flip_byte(victim, at);
    if (table_is_safe_to_open(victim.string())) continue;
    ++refused;
    expect_all_answers(world, dir / "damaged");
  }
  EXPECT_GE(refused, 1);
}

TEST(IndexDamageTest, EveryByteOfAllTablesFlippedUnderAnOpenIndexIsHealed) {
  const TempDir dir;
  World world(dir / "store", 20);
  world.publish_some(12);
  make_index(world, dir / "index");
  const auto index = must(Index::open(dir / "index", world.objects()));
  for (const fs::path& file : files_of(dir / "index")) {
    if (file.extension() != ".sst") continue;
    for (std::uint64_t at = 0; at < fs::file_size(file); ++at) flip_byte(file, at);
  }
  EXPECT_EQ(world.ask(*index), world.expected());
  world.publish_some(1);
  must(index->catch_up());
  EXPECT_EQ(world.ask(*index), world.expected());
  EXPECT_EQ(packs_on_disk(dir / "index"), world.packs().size());
}

// Readers ask while packs are added and while bytes of the tables are flipped: each answer is right.
TEST(IndexDamageTest, AnswersStayRightWhileOthersAddAndTablesRot) {
  const TempDir dir;
  World world(dir / "store", 27);
  world.publish_some(10);
  const auto index = must(Index::open(dir / "index", world.objects()));
  must(index->catch_up());
  must(index->flush());
  std::vector<SegmentPlace> places;
  for (const auto& [pack, contents] : world.packs()) {
    for (const PackedSegment& segment : contents.segments) {
      places.push_back(*must(index->find_segment(segment.entry.id)));
    }
  }
  std::vector<std::jthread> readers;
  for (int reader = 0; reader < 3; ++reader) {
    readers.emplace_back([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        for (const SegmentPlace& place : places)
          EXPECT_TRUE(must(index->find_segment(place.entry.id)).has_value());
      }
    });
  }
  for (int round = 0; round < 6; ++round) {
    world.publish_some(1);
    must(index->catch_up());
    must(index->flush());
    for (const fs::path& file : files_of(dir / "index")) {
      std::error_code gone;  // a compaction may remove a file at any time
      const std::uint64_t bytes = file.extension() == ".sst" ? fs::file_size(file, gone) : 0;
      for (std::uint64_t at = 0; !gone && at < bytes; at += 7) flip_byte(file, at);
    }
  }
  readers.clear();
  EXPECT_EQ(world.ask(*index), world.expected());
}

TEST(IndexDamageTest, AMissingOrShortenedFileChangesNoAnswer) {
  const TempDir dir;
  World world(dir / "store", 21);
  world.publish_some(12);
  make_index(world, dir / "whole");
  for (const fs::path& file : files_of(dir / "whole")) {
    for (const bool missing : {true, false}) {
      SCOPED_TRACE(testing::Message() << file << (missing ? " missing" : " shortened"));
      fs::remove_all(dir / "damaged");
      fs::copy(dir / "whole", dir / "damaged");
      const fs::path victim = fs::path(dir / "damaged") / file.filename();
      if (missing) {
        fs::remove(victim);
      } else {
        fs::resize_file(victim, fs::file_size(victim) / 2);
      }
      expect_all_answers(world, dir / "damaged");
    }
  }
  fs::remove_all(dir / "damaged");
  expect_all_answers(world, dir / "damaged");
}

TEST(IndexDamageTest, FilesThatAreNotTheIndexesAreNeverRemoved) {
  const TempDir dir;
  World world(dir / "store", 22);
  world.publish_some(4);
  make_index(world, dir / "index");
  std::ofstream(dir / "index/letter.txt") << "mine";
  std::ofstream(dir / "index/CURRENT") << "nonsense";
  expect_all_answers(world, dir / "index");
  EXPECT_TRUE(fs::exists(dir / "index/letter.txt"));
}

TEST(IndexDamageTest, ADamagedPackIsPassedOverAndCounted) {
  const TempDir dir;
  World world(dir / "store", 23);
  world.publish_data(3);
  const PackId victim = world.publish_data(3);
  fs::resize_file(world.path_of(victim), fs::file_size(world.path_of(victim)) - 1);
  const auto index = must(Index::open(dir / "index", world.objects()));
  EXPECT_EQ(must(index->catch_up()).packs_added, 1U);
  EXPECT_EQ(must(index->stats()).damaged_packs, 1U);
  EXPECT_FALSE(must(index->has_pack(victim)));
}

// Header, trailer, and the tail at once, however many segments the pack has.
TEST(IndexDamageTest, AnUnknownPackIsTakenInWithThreeReads) {
  for (const std::size_t segments : {1U, 40U}) {
    const TempDir dir;
    World world(dir / "store", 25);
    world.publish_data(segments);
    RemoteObjects remote(world.objects());
    const auto index = must(Index::open_in_memory(remote));
    EXPECT_EQ(must(index->catch_up()).packs_added, 1U);
    EXPECT_EQ(remote.reads, 3U);
    EXPECT_EQ(world.ask(*index), world.expected());
  }
}

TEST(IndexDamageTest, ADamagedDirectoryCostsOnlyItsHooks) {
  const TempDir dir;
  World world(dir / "store", 24);
  const PackId pack = world.publish_data(3);
  const auto segments = world.packs().at(pack).segments;
  flip_byte(world.path_of(pack),
            segments.front().entry.directory_offset + segments.front().entry.directory_bytes - 1);
  const auto index = must(Index::open(dir / "index", world.objects()));
  must(index->catch_up());
  EXPECT_EQ(must(index->stats()).damaged_packs, 1U);
  for (const PackedSegment& segment : segments) {
    EXPECT_EQ(must(index->find_segment(segment.entry.id)), (SegmentPlace{pack, segment.entry}));
  }
  EXPECT_EQ(must(index->find_hooks({&segments.front().blocks.front(), 1})).front(), std::nullopt);
}

class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    fs::create_directories(path_);
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=256k") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }
  bool grow() const { return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT, "size=64m") == 0; }
  void fill() const {
    std::ofstream filler(path_ + "/filler");
    while (filler << std::string(4096, 'x') << std::flush) {
    }
  }
  void empty() const { fs::remove(path_ + "/filler"); }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST(IndexDamageTest, AFullDiskLosesNoAnswerAndIsWrittenOnceThereIsRoom) {
  const TempDir dir;
  const SmallDisk disk(dir / "small");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  World world(dir / "store", 25);
  const auto index = must(Index::open(dir / "small/index", world.objects()));
  for (int round = 0; round < 24; ++round) {
    const PackId pack = world.publish_data(60);
    world.tell(*index, pack);
    must(index->flush());
    if (round % 4 == 3) {
      const PackId gone = world.any_pack();
      must(index->forget_pack(gone));
      world.remove(gone);
    }
  }
  EXPECT_EQ(world.ask(*index), world.expected());
  must(index->catch_up());
  EXPECT_EQ(world.ask(*index), world.expected());
  EXPECT_LT(packs_on_disk(dir / "small/index"), world.packs().size()) << "the disk was not full";

  ASSERT_TRUE(disk.grow());
  must(index->catch_up());
  must(index->flush());
  EXPECT_EQ(world.ask(*index), world.expected());
  EXPECT_EQ(packs_on_disk(dir / "small/index"), world.packs().size());
}

TEST(IndexDamageTest, AnIndexThatCantBeMadeIsKeptInMemoryUntilItCan) {
  const TempDir dir;
  const SmallDisk disk(dir / "small");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  disk.fill();
  World world(dir / "store", 26);
  world.publish_some(6);
  {
    const auto index = must(Index::open(dir / "small/index", world.objects()));
    must(index->catch_up());
    EXPECT_EQ(world.ask(*index), world.expected());
    EXPECT_FALSE(must(index->stats()).writable);
    disk.empty();
    ASSERT_TRUE(disk.grow());
    must(index->catch_up());
    EXPECT_TRUE(must(index->stats()).writable);
    EXPECT_EQ(world.ask(*index), world.expected());
  }
  const auto index = must(Index::open(dir / "small/index", world.objects()));
  EXPECT_EQ(world.ask(*index), world.expected());
}

}  // namespace
}  // namespace ashlar
