// Tests of one contract on two file systems: what the engine relies on holds on that of this host and on the
// simulated one.
#include <atomic>
#include <memory>
#include <thread>

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
class FileSystemContract : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return host_.root + "/" + name; }
  FileSystem& files() { return host_.files; }

  void write(const std::string& name, std::string_view text) {
    auto file = files().create(at(name));
    ASSERT_DONE(file);
    ASSERT_DONE(file.value()->append(as_byte_span(text)));
    ASSERT_DONE(file.value()->sync());
  }
  std::string read(const std::string& name) {
    auto bytes = read_file(files(), at(name), 1 << 20);
    return bytes.ok() ? text_of(bytes.value()) : "error: " + bytes.error().text();
  }

 private:
  Host host_;
};

using Hosts = ::testing::Types<Posix, Simulated>;
TYPED_TEST_SUITE(FileSystemContract, Hosts);

TYPED_TEST(FileSystemContract, WhatWasAppendedIsReadAtAnyOffset) {
  const ByteVector bytes = random_bytes(100'001, 1);
  auto file = this->files().create(this->at("f"));
  ASSERT_DONE(file);
  for (std::size_t done = 0; done < bytes.size(); done += 7777) {
    ASSERT_DONE(file.value()->append(
        ByteSpan(bytes).subspan(done, std::min<std::size_t>(7777, bytes.size() - done))));
  }
  ASSERT_DONE(file.value()->append({}));
  ASSERT_DONE(file.value()->sync());
  EXPECT_EQ(this->files().file_size(this->at("f")).take(), bytes.size());

  Prng prng(2);
  for (const ReadMode mode : {ReadMode::kCached, ReadMode::kDirect}) {
    auto reader = this->files().open(this->at("f"), mode);
    ASSERT_DONE(reader);
    EXPECT_EQ(reader.value()->size().take(), bytes.size());
    for (int round = 0; round < 300; ++round) {
      const std::size_t offset = prng.below(bytes.size() + 5000);
      ByteVector out(prng.below(20'000));
      const std::size_t expected = offset >= bytes.size() ? 0 : std::min(out.size(), bytes.size() - offset);
      auto read = reader.value()->read_at(offset, out);
      ASSERT_DONE(read);
      ASSERT_EQ(read.value(), expected) << "offset " << offset << " length " << out.size();
      if (expected == 0) continue;
      ASSERT_TRUE(bytes_equal(ByteSpan(out).first(expected), ByteSpan(bytes).subspan(offset, expected)));
    }
  }
}

TYPED_TEST(FileSystemContract, CreateTakesOnlyAFreeName) {
  this->write("f", "first");
  auto again = this->files().create(this->at("f"));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().error_number(), EEXIST);
  EXPECT_EQ(this->read("f"), "first");
  EXPECT_FAILS(this->files().create(this->at("no-folder/f")), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemContract, ErrorsNameThePath) {
  const auto missing = this->files().open(this->at("missing-one"), ReadMode::kCached);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(missing.error().text().find(this->at("missing-one")), std::string::npos)
      << missing.error().text();
  EXPECT_NE(missing.error().text().find("open"), std::string::npos) << missing.error().text();
  EXPECT_FAILS(this->files().file_size(this->at("missing-one")), ErrorCode::kNotFound);
  EXPECT_FAILS(this->files().list(this->at("missing-one")), ErrorCode::kNotFound);
  EXPECT_FAILS(this->files().remove(this->at("missing-one")), ErrorCode::kNotFound);
  EXPECT_FAILS(this->files().sync_directory(this->at("missing-one")), ErrorCode::kNotFound);
  EXPECT_FAILS(this->files().rename(this->at("missing-one"), this->at("x")), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemContract, LinkNeverReplacesAndRenameDoes) {
  this->write("a", "of a");
  this->write("b", "of b");
  const Status taken = this->files().link(this->at("a"), this->at("b"));
  ASSERT_FALSE(taken.ok());
  EXPECT_EQ(taken.error().error_number(), EEXIST);
  EXPECT_EQ(this->read("b"), "of b");

  ASSERT_DONE(this->files().link(this->at("a"), this->at("c")));
  ASSERT_DONE(this->files().remove(this->at("a")));
  EXPECT_EQ(this->read("c"), "of a");

  ASSERT_DONE(this->files().rename(this->at("c"), this->at("b")));
  EXPECT_EQ(this->read("b"), "of a");
  EXPECT_FAILS(this->files().open(this->at("c"), ReadMode::kCached), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemContract, DirectoriesListSortedAndGoOnlyWhenEmpty) {
  ASSERT_DONE(this->files().make_directory(this->at("d")));
  ASSERT_DONE(this->files().make_directory(this->at("d")));
  for (const char* name : {"d/b", "d/a", "d/c"}) this->write(name, name);
  ASSERT_DONE(this->files().make_directory(this->at("d/bb")));
  ASSERT_DONE(this->files().sync_directory(this->at("d")));
  const std::vector<DirectoryEntry> expected = {{"a", false}, {"b", false}, {"bb", true}, {"c", false}};
  EXPECT_EQ(this->files().list(this->at("d")).take(), expected);

  EXPECT_FALSE(this->files().remove(this->at("d")).ok());
  ASSERT_DONE(this->files().remove(this->at("d/bb")));
  for (const char* name : {"d/a", "d/b", "d/c"}) ASSERT_DONE(this->files().remove(this->at(name)));
  ASSERT_DONE(this->files().remove(this->at("d")));
  EXPECT_FAILS(this->files().list(this->at("d")), ErrorCode::kNotFound);
}

TYPED_TEST(FileSystemContract, AFileIsNoDirectoryAndADirectoryNoFile) {
  this->write("f", "x");
  ASSERT_DONE(this->files().make_directory(this->at("d")));
  for (const Status& status :
       {this->files().make_directory(this->at("f")), this->files().sync_directory(this->at("f")),
        this->files().rename(this->at("f"), this->at("d"))}) {
    EXPECT_FALSE(status.ok());
  }
  EXPECT_FAILS(this->files().make_directory(this->at("f")), ErrorCode::kInvalid);
  EXPECT_EQ(this->files().open(this->at("d"), ReadMode::kCached).error().error_number(), EISDIR);
  EXPECT_EQ(this->files().file_size(this->at("d")).error().error_number(), EISDIR);
  EXPECT_EQ(this->files().open(this->at("f/g"), ReadMode::kCached).error().error_number(), ENOTDIR);
}

TYPED_TEST(FileSystemContract, AnOpenFileOutlivesItsName) {
  this->write("f", "still here");
  auto reader = this->files().open(this->at("f"), ReadMode::kCached);
  ASSERT_DONE(reader);
  ASSERT_DONE(this->files().remove(this->at("f")));
  ByteVector out(10);
  ASSERT_EQ(reader.value()->read_at(0, out).take(), 10U);
  EXPECT_EQ(text_of(out), "still here");
}

TYPED_TEST(FileSystemContract, ALockHasOneHolder) {
  auto lock = this->files().lock(this->at("l"));
  ASSERT_DONE(lock);
  EXPECT_FAILS(this->files().lock(this->at("l")), ErrorCode::kBusy);
  ASSERT_DONE(this->files().lock(this->at("other")));
  lock.take().reset();
  ASSERT_DONE(this->files().lock(this->at("l")));
}

TYPED_TEST(FileSystemContract, ALockOnARemovedFileHoldsUpNobody) {
  auto lock = this->files().lock(this->at("l"));
  ASSERT_DONE(lock);
  ASSERT_DONE(this->files().remove(this->at("l")));
  auto newer = this->files().lock(this->at("l"));
  ASSERT_DONE(newer);
  lock.take().reset();
  EXPECT_FAILS(this->files().lock(this->at("l")), ErrorCode::kBusy);
}

TYPED_TEST(FileSystemContract, ManyThreadsTakeALockInTurn) {
  // These are atomic because the race detector does not know file locks.
  std::atomic<int> inside{0};
  std::atomic<int> entries{0};
  const auto worker = [&] {
    for (int round = 0; round < 200;) {
      auto lock = this->files().lock(this->at("l"));
      if (!lock.ok()) {
        ASSERT_EQ(lock.error().code(), ErrorCode::kBusy) << lock.error().text();
        std::this_thread::yield();
        continue;
      }
      EXPECT_EQ(++inside, 1);
      ++entries;
      --inside;
      ++round;
    }
  };
  {
    const std::jthread first(worker);
    const std::jthread second(worker);
  }
  EXPECT_EQ(entries.load(), 400);
}

TYPED_TEST(FileSystemContract, ReadFileRefusesWhatIsTooLarge) {
  this->write("f", "12345");
  EXPECT_EQ(text_of(read_file(this->files(), this->at("f"), 5).take()), "12345");
  EXPECT_FAILS(read_file(this->files(), this->at("f"), 4), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace ashlar
