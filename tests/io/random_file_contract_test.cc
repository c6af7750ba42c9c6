// Tests of RandomFile: one contract on two file systems, and what the simulated disk forgets of such a file.
#include <set>

#include "io/file_system.h"
#include "io_asserts.h"
#include "simulated/simulated_file_system.h"
#include "support/temporary_directory.h"

namespace ashlar {
namespace {

struct Posix {
  TemporaryDirectory directory;
  FileSystem& files = posix_file_system();
  std::string root = directory.path();
};

struct Simulated {
  SimulatedFileSystem simulated;
  FileSystem& files = simulated;
  std::string root;
};

template <class Host>
class RandomFileContract : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return host_.root + "/" + name; }
  FileSystem& files() { return host_.files; }

 private:
  Host host_;
};

using Hosts = ::testing::Types<Posix, Simulated>;
TYPED_TEST_SUITE(RandomFileContract, Hosts);

TYPED_TEST(RandomFileContract, ReadsWhatWasWrittenAndZeroedAnywhere) {
  constexpr std::size_t kBytes = 300'001;
  auto file = this->files().create_random(this->at("f"), kBytes).take();
  ByteVector model(kBytes);
  Prng prng(7);
  for (int round = 0; round < 500; ++round) {
    const std::size_t offset = prng.below(kBytes);
    const std::size_t length = prng.below(std::min<std::size_t>(kBytes - offset, 20'000) + 1);
    const auto range = MutableByteSpan(model).subspan(offset, length);
    const std::uint64_t action = prng.below(5);
    if (action == 0) {
      ASSERT_DONE(file->zero(offset, length, prng.below(2) == 0 ? ZeroSpace::kFree : ZeroSpace::kKeep));
      std::ranges::fill(range, std::byte{0});
    } else if (action == 1) {
      ASSERT_DONE(file->allocate(offset, length));
    } else if (action == 2) {
      prng.fill(range);
      ASSERT_DONE(file->write_at(offset, range));
    } else {
      ByteVector out(length + 10);
      const std::size_t expected = std::min(out.size(), kBytes - offset);
      ASSERT_EQ(file->read_at(offset, out).take(), expected);
      ASSERT_TRUE(bytes_equal(ByteSpan(out).first(expected), ByteSpan(model).subspan(offset, expected)))
          << "round " << round << ": " << length << " bytes at " << offset;
    }
  }
  ASSERT_DONE(file->sync());
  file.reset();
  EXPECT_TRUE(bytes_equal(read_file(this->files(), this->at("f"), kBytes).take(), model));
  auto again = this->files().open_random(this->at("f")).take();
  EXPECT_EQ(again->size().take(), kBytes);
  ByteVector out(kBytes);
  EXPECT_EQ(again->read_at(0, out).take(), kBytes);
  EXPECT_TRUE(bytes_equal(out, model));
}

TYPED_TEST(RandomFileContract, NothingReachesPastTheEnd) {
  auto file = this->files().create_random(this->at("f"), 1000).take();
  EXPECT_FAILS(file->write_at(999, ByteVector(2)), ErrorCode::kInvalid);
  EXPECT_FAILS(file->write_at(~std::uint64_t{0}, ByteVector(2)), ErrorCode::kInvalid);
  EXPECT_FAILS(file->zero(1001, 0, ZeroSpace::kFree), ErrorCode::kInvalid);
  EXPECT_FAILS(file->allocate(0, 1001), ErrorCode::kInvalid);
  ByteVector out(10);
  EXPECT_EQ(file->read_at(1000, out).take(), 0U);
  EXPECT_EQ(file->read_at(995, out).take(), 5U);
}

TYPED_TEST(RandomFileContract, WhatIsNewAfterAResizeIsZeros) {
  auto file = this->files().create_random(this->at("f"), 10'000).take();
  ASSERT_DONE(file->write_at(0, random_bytes(10'000, 3)));
  ASSERT_DONE(file->resize(5000));
  ASSERT_DONE(file->resize(20'000));
  EXPECT_EQ(file->size().take(), 20'000U);
  ByteVector out(20'000);
  EXPECT_EQ(file->read_at(0, out).take(), out.size());
  EXPECT_TRUE(bytes_equal(ByteSpan(out).first(5000), ByteSpan(random_bytes(10'000, 3)).first(5000)));
  EXPECT_TRUE(is_zero(ByteSpan(out).subspan(5000)));
}

TYPED_TEST(RandomFileContract, NamesAreTakenAndMissing) {
  ASSERT_DONE(this->files().create_random(this->at("f"), 0));
  EXPECT_EQ(this->files().create_random(this->at("f"), 5).error().error_number(), EEXIST);
  EXPECT_FAILS(this->files().open_random(this->at("g")), ErrorCode::kNotFound);
}

TEST(SimulatedRandomFile, ACrashLeavesEachUnsyncedSectorInAnyOfItsStates) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SimulatedFileSystem files;
    auto file = files.create_random("/f", 1024).take();
    ASSERT_DONE(file->write_at(0, as_byte_span(std::string(1024, 'a'))));
    ASSERT_DONE(file->sync());
    ASSERT_DONE(files.sync_directory("/"));
    ASSERT_DONE(file->write_at(0, as_byte_span(std::string(1024, 'b'))));
    ASSERT_DONE(file->write_at(0, as_byte_span(std::string(512, 'c'))));
    files.crash(seed);
    EXPECT_FAILS(file->write_at(0, as_byte_span("x")), ErrorCode::kIo);
    const std::string text = text_of(read_file(files, "/f", 1024).take());
    seen.insert(text.substr(0, 1) + text.substr(1023));
    EXPECT_EQ(text, std::string(512, text[0]) + std::string(512, text[1023]));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"aa", "ab", "ba", "bb", "ca", "cb"}));
}

TEST(SimulatedRandomFile, AFailedSyncLosesWhatItWasToSaveAndPoisons) {
  SimulatedFileSystem files;
  auto file = files.create_random("/f", 512).take();
  ASSERT_DONE(file->write_at(0, as_byte_span(std::string(512, 'a'))));
  ASSERT_DONE(file->sync());
  ASSERT_DONE(file->write_at(0, as_byte_span(std::string(512, 'b'))));
  files.fail_operation(files.operations(), EIO);
  EXPECT_FAILS(file->sync(), ErrorCode::kIo);
  EXPECT_FAILS(file->sync(), ErrorCode::kIo);
  EXPECT_FAILS(file->write_at(0, as_byte_span("x")), ErrorCode::kIo);
  EXPECT_FAILS(file->zero(0, 1, ZeroSpace::kFree), ErrorCode::kIo);
  EXPECT_EQ(text_of(read_file(files, "/f", 512).take()), std::string(512, 'a'));
}

TEST(SimulatedRandomFile, AFullDiskTakesOnlyWhatHasSpace) {
  SimulatedFileSystem files;
  auto file = files.create_random("/f", 5 * 4096).take();
  ASSERT_DONE(file->allocate(4096, 4096));
  files.set_full(true);
  ASSERT_DONE(file->write_at(4096, ByteVector(4096)));
  EXPECT_FAILS(file->write_at(4095, ByteVector(2)), ErrorCode::kExhausted);
  EXPECT_FAILS(file->allocate(0, 5 * 4096), ErrorCode::kExhausted);
  ASSERT_DONE(file->zero(4096, 4096, ZeroSpace::kFree));
  EXPECT_FAILS(file->write_at(4096, ByteVector(1)), ErrorCode::kExhausted);
}

TEST(SimulatedRandomFile, AWriteThatFailedForWantOfSpaceTookNone) {
  SimulatedFileSystem files;
  auto file = files.create_random("/f", 64 * 4096).take();
  files.set_full(true);
  EXPECT_FAILS(file->write_at(0, ByteVector(64 * 4096, std::byte{1})), ErrorCode::kExhausted);
  EXPECT_FAILS(file->zero(0, 64 * 4096, ZeroSpace::kKeep), ErrorCode::kExhausted);
  EXPECT_FAILS(file->allocate(0, 64 * 4096), ErrorCode::kExhausted);
}

TEST(SimulatedRandomFile, AFileThatACrashCutShowsZerosWhenItGrowsAgain) {
  SimulatedFileSystem files;
  auto file = files.create_random("/f", 512).take();
  ASSERT_DONE(file->write_at(0, ByteVector(512, std::byte{7})));
  ASSERT_DONE(file->sync());
  ASSERT_DONE(files.sync_directory("/"));
  ASSERT_DONE(file->resize(100));
  ASSERT_DONE(file->sync());
  ASSERT_DONE(file->resize(512));
  ASSERT_DONE(file->write_at(200, ByteVector(300, std::byte{8})));
  files.crash(SimulatedFileSystem::kLoseUnsynced);
  file = files.open_random("/f").take();
  ASSERT_EQ(file->size().take(), 100U);
  ASSERT_DONE(file->resize(512));
  ByteVector bytes(512);
  ASSERT_EQ(file->read_at(0, bytes).take(), 512U);
  EXPECT_EQ(bytes[99], std::byte{7});
  EXPECT_TRUE(is_zero(ByteSpan(bytes).subspan(100)));
}

// The size goes back, and the bytes that were written past it do not.
TEST(SimulatedRandomFile, NoCrashLeavesBytesPastTheEndForALaterGrowth) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SimulatedFileSystem files;
    auto file = files.create_random("/f", 100).take();
    ASSERT_DONE(file->sync());
    ASSERT_DONE(files.sync_directory("/"));
    ASSERT_DONE(file->resize(512));
    ASSERT_DONE(file->write_at(100, ByteVector(412, std::byte{8})));
    files.crash(seed);
    file = files.open_random("/f").take();
    if (file->size().take() != 100) continue;
    ASSERT_DONE(file->resize(512));
    ByteVector bytes(512);
    ASSERT_EQ(file->read_at(0, bytes).take(), 512U);
    ASSERT_TRUE(is_zero(bytes)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace ashlar
