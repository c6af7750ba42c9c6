// Tests of opening a store: what init makes, what open finds, and what each refusal says and is about.
#include "repo/repo.h"

#include <gtest/gtest.h>

#include "catalog/sessions.h"
#include "simulated/simulated_file_system.h"
#include "support/store_rig.h"

namespace ashlar {
namespace {

class Opening : public testing::Test {
 protected:
  static HostChoice choice() {
    HostChoice choice;
    choice.host.bytes.fill(std::byte{3});
    choice.index_in_memory = true;
    return choice;
  }
  Result<StoreConfig> init(const InitOptions& options = {}) { return Repo::init(files_, address_, options); }
  Result<std::unique_ptr<Repo>> open() { return Repo::open(files_, address_, choice()); }
  void write(const std::string& path, std::string_view text) {
    auto file = expect_ok(files_.create(path));
    expect_ok(file->append(as_byte_span(text)));
    expect_ok(file->sync());
  }
  template <class T>
  static void expect_refusal(const Result<T>& result, ErrorCode code, ErrorKind kind,
                             const std::string& text) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code(), code);
    EXPECT_EQ(result.error().kind(), kind);
    EXPECT_EQ(result.error().text(), text);
  }

  SimulatedFileSystem files_;
  StoreAddress address_{"/s"};
};

TEST_F(Opening, WhatInitMadeIsWhatOpenFinds) {
  const StoreConfig made = expect_ok(init({.frame_blocks = 4, .level = 7}));
  EXPECT_EQ(made.frame_blocks, 4U);
  EXPECT_EQ(made.level, 7);
  const auto repo = expect_ok(open());
  EXPECT_EQ(repo->config().id, made.id);
  EXPECT_EQ(repo->config().frame_blocks, 4U);
  EXPECT_EQ(repo->config().level, 7);
  EXPECT_EQ(repo->config().region_secret, made.region_secret);
  EXPECT_EQ(repo->config().hook_rate, 64U);
  EXPECT_EQ(repo->address(), address_);
}

TEST_F(Opening, AnEmptyDirectoryBecomesAStoreAndEachHasItsOwnId) {
  expect_ok(files_.make_directory("/s"));
  const StoreConfig one = expect_ok(init());
  address_.directory = "/other";
  const StoreConfig other = expect_ok(init());
  EXPECT_NE(one.id, other.id);
  EXPECT_NE(one.region_secret, other.region_secret);
}

// A newer program has made something of the store that this one would break. It reads, and changes nothing.
TEST_F(Opening, AStoreThatNeedsMoreOfItsWritersIsOnlyRead) {
  StoreConfig config = expect_ok(init());
  expect_ok(expect_ok(open())->objects().put_if_absent("notes", as_byte_span("mine")));
  config.unknown_to_write = {"inventory"};
  expect_ok(files_.remove("/s/ashlar.json"));
  write("/s/ashlar.json", encode(config));
  write("/s/incoming/left-behind", "by a writer that this program does not know");
  const auto repo = expect_ok(open());
  EXPECT_EQ(as_text(expect_ok(get_object(repo->objects(), "notes", 100))), "mine");
  EXPECT_TRUE(repo->read_parts().ok());
  ObjectStore& objects = repo->objects();
  const auto expect_refused = [](const auto& result) {
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code(), ErrorCode::kUnsupported);
    EXPECT_TRUE(result.error().text().ends_with(
        "/s: the store can only be changed by a program that knows 'inventory': use a newer ashlar"))
        << result.error().text();
  };
  expect_refused(Session::begin(expect_ok(repo->write_parts()).objects, config.id, {}));
  expect_refused(objects.create("packs/new"));
  expect_refused(objects.put_if_absent("volumes/new", as_byte_span("x")));
  expect_refused(objects.replace("notes", as_byte_span("mine"), as_byte_span("x")));
  expect_refused(objects.remove("notes"));
  EXPECT_EQ(as_text(expect_ok(get_object(objects, "notes", 100))), "mine");
  EXPECT_TRUE(files_.open("/s/incoming/left-behind", ReadMode::kCached).ok());
}

TEST_F(Opening, AStoreSurvivesThePowerOnceInitReturned) {
  const StoreConfig made = expect_ok(init());
  files_.crash(SimulatedFileSystem::kLoseUnsynced);
  EXPECT_EQ(expect_ok(open())->config().id, made.id);
}

TEST_F(Opening, InitRefusesWhatIsNoEmptyDirectory) {
  expect_ok(init());
  expect_refusal(init(), ErrorCode::kInvalid, ErrorKind::kNone, "/s is a store already");
  expect_ok(files_.make_directory("/full"));
  write("/full/notes", "mine");
  address_.directory = "/full";
  expect_refusal(init(), ErrorCode::kInvalid, ErrorKind::kNone,
                 "/full is not empty: give a new or an empty directory");
}

TEST_F(Opening, InitRefusesSizesAndLevelsAndMakesNothing) {
  for (const InitOptions& options : {InitOptions{0, 1}, InitOptions{65, 1}})
    expect_refusal(init(options), ErrorCode::kInvalid, ErrorKind::kNone, "a frame holds 4K to 256K");
  for (const InitOptions& options : {InitOptions{16, 0}, InitOptions{16, 20}})
    expect_refusal(init(options), ErrorCode::kInvalid, ErrorKind::kNone, "the zstd level is 1 to 19");
  EXPECT_EQ(files_.list("/s").error().code(), ErrorCode::kNotFound);
  expect_ok(init({1, 19}));
}

TEST_F(Opening, WhatIsNoStoreIsRefusedByWhatItIs) {
  expect_refusal(open(), ErrorCode::kNotFound, ErrorKind::kNone,
                 "/s does not exist: is it mistyped, or not mounted?");
  expect_ok(files_.make_directory("/s"));
  const auto empty = open();
  expect_refusal(empty, ErrorCode::kInvalid, ErrorKind::kNotAStore,
                 "/s is not a store: it has no ashlar.json");
  EXPECT_EQ(empty.error().id(), "/s");
  write("/file", "text");
  address_.directory = "/file";
  const auto file = open();
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().kind(), ErrorKind::kNone);
  EXPECT_EQ(file.error().text().find("/file"), 0U) << file.error().text();
}

TEST_F(Opening, ADamagedConfigIsCorruptAndNamesTheStore) {
  expect_ok(files_.make_directory("/s"));
  write("/s/ashlar.json", "{ this is no config");
  const auto opened = open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(opened.error().text().find("/s: "), 0U) << opened.error().text();
}

TEST_F(Opening, TheIndexIsOpenedOnlyWhenItIsAskedFor) {
  expect_ok(init());
  const auto repo = expect_ok(open());
  const std::uint64_t before = files_.operations();
  EXPECT_TRUE(expect_ok(repo->snapshots().list_ids()).empty());
  EXPECT_EQ(files_.operations(), before);
  Index* const index = expect_ok(repo->index());
  EXPECT_EQ(expect_ok(repo->index()), index) << "once";
  const WriteParts parts = expect_ok(repo->write_parts());
  EXPECT_EQ(&parts.index, index);
  EXPECT_EQ(&parts.objects, &repo->objects());
  EXPECT_EQ(&parts.segments, expect_ok(repo->segments()));
  EXPECT_EQ(&parts.nodes, expect_ok(repo->nodes()));
  EXPECT_EQ(&parts.snapshots, &repo->snapshots());
  EXPECT_EQ(&expect_ok(repo->read_parts()).segments, &parts.segments);
  EXPECT_EQ(&expect_ok(repo->verify_parts()).index, index);
}

// Another process publishes a pack: a process that has the store open finds it when it opens it once more.
TEST_F(Opening, OpenedOnceMoreItFindsWhatOthersPublished) {
  expect_ok(init());
  const auto repo = expect_ok(open());
  const WriteParts parts = expect_ok(repo->write_parts());
  const auto other = expect_ok(open());
  const WriteParts theirs = expect_ok(other->write_parts());
  const SealedSegment segment = sealed_segment(seeds_from(0, 5));
  PackAppender appender(theirs.objects, theirs.index, theirs.config.id, random_id<SessionId>());
  expect_ok(appender.append(encoded_segment(segment)));
  expect_ok(appender.publish());
  EXPECT_FALSE(expect_ok(parts.index.find_segment(segment.id)));
  const auto again = expect_ok(repo->open_again());
  EXPECT_EQ(again->config().id, repo->config().id);
  EXPECT_EQ(again->address(), repo->address());
  const WriteParts now = expect_ok(again->write_parts());
  EXPECT_TRUE(expect_ok(now.index.find_segment(segment.id)));
}

TEST_F(Opening, ReindexFindsEveryPackAnew) {
  expect_ok(init());
  const auto repo = expect_ok(open());
  const WriteParts parts = expect_ok(repo->write_parts());
  const SealedSegment segment = sealed_segment(seeds_from(0, 5));
  PackAppender appender(parts.objects, parts.index, parts.config.id, random_id<SessionId>());
  expect_ok(appender.append(encoded_segment(segment)));
  expect_ok(appender.publish());
  const SegmentPlace place = *expect_ok(parts.index.find_segment(segment.id));
  expect_ok(parts.index.forget_pack(place.pack));
  EXPECT_EQ(expect_ok(repo->reindex()).packs_added, 1U);
  EXPECT_EQ(expect_ok(parts.index.find_segment(segment.id)), place);
}

TEST_F(Opening, WhatADeadWriterLeftIsRemoved) {
  expect_ok(init());
  const auto dead = expect_ok(open());
  const auto writer = expect_ok(dead->objects().create("packs/00/dead.pack"));
  expect_ok(writer->append(as_byte_span("half")));
  files_.crash(SimulatedFileSystem::kKeepUnsynced);
  const auto left = [&] {
    std::size_t files = 0;
    for (const DirectoryEntry& entry : expect_ok(files_.list("/s/incoming")))
      files += entry.name.ends_with(".lock") ? 0 : 1;
    return files;
  };
  ASSERT_GT(left(), 0U);
  expect_ok(open());
  EXPECT_EQ(left(), 0U);
}

TEST(StoreAddresses, AreDirectoriesForNow) {
  EXPECT_EQ(expect_ok(StoreAddress::parse("/a/b")).directory, "/a/b");
  EXPECT_EQ(StoreAddress::parse("").error().code(), ErrorCode::kInvalid);
  EXPECT_EQ(StoreAddress::parse("s3://bucket/x").error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace ashlar
