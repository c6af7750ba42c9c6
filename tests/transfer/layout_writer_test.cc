// Tests of what the writer of layouts leaves on disk, when it succeeds and when it fails.
#include <cerrno>

#include "simulated/simulated_file_system.h"
#include "transfer/layout_rig.h"

namespace ashlar {
namespace {

class Layouts : public testing::Test {
 protected:
  FileSystem& files_ = posix_file_system();
  TemporaryDirectory scratch_;
  std::string layout_ = scratch_ / "layout";
};

TEST_F(Layouts, WhatGoesInComesOut) {
  for (const std::size_t size : {1UL, 1234UL, 9'999UL, 10'000UL, 10'001UL, 55'555UL, 200'000UL}) {
    const ByteVector bytes = noise(size, size);
    const std::string tag = "v" + std::to_string(size);
    ASSERT_TRUE(write_layout(files_, layout_, tag, bytes).ok());
    const auto read = read_layout(layout_, tag);
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_TRUE(read.value() == bytes);
  }
  EXPECT_EQ(read_layout(layout_, "v1").value(), noise(1, 1)) << "what was there stays";
  EXPECT_EQ(read_layout(layout_, "v2").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(read_layout(layout_, "").error().code(), ErrorCode::kInvalid) << "there are several";
  for (const std::string& path : paths_below(layout_)) EXPECT_EQ(path.find(".ashlar-"), std::string::npos);
}

TEST_F(Layouts, TheOnlyImageNeedsNoTag) {
  ASSERT_TRUE(write_layout(files_, layout_ + "/", "v1", noise(100, 1)).ok());
  EXPECT_EQ(read_layout(layout_, "").value(), noise(100, 1));
}

TEST_F(Layouts, ABlobIsNamedByItsDigestAndWhatIsEqualIsThereOnce) {
  const ByteVector bytes = noise(50'000, 3);
  const auto first = write_layout(files_, layout_, "v1", bytes);
  ASSERT_TRUE(first.ok());
  const std::size_t before = paths_below(layout_).size();
  put_text(layout_ + "/" + oci_blob_path(sha256({})), "");  // a blob that another program wrote
  // The second image adds other parts and another manifest; the parts of the first 50'000 bytes are shared.
  ByteVector longer = bytes;
  longer.push_back(std::byte{1});
  ASSERT_TRUE(write_layout(files_, layout_, "v2", longer).ok());
  EXPECT_LE(paths_below(layout_).size(), before + 4);
  for (const auto& entry : std::filesystem::directory_iterator(layout_ + "/blobs/sha256")) {
    const std::string text = text_of(entry.path());
    EXPECT_EQ(entry.path().filename().string(), to_hex(sha256(as_byte_span(text))));
  }
  const Json manifest = Json::parse(text_of(layout_ + "/" + oci_blob_path(first.value().digest)));
  EXPECT_EQ(manifest["artifactType"], kOciArtifactType);
  EXPECT_EQ(manifest["annotations"]["vnd.ashlar.image"], ImageId{7}.text());
  std::uint64_t sum = 0;
  for (const Json& layer : manifest["layers"]) {
    EXPECT_LE(layer["size"].get<std::uint64_t>(), kTestPartBytes);
    sum += layer["size"].get<std::uint64_t>();
  }
  EXPECT_EQ(sum, bytes.size());
}

TEST_F(Layouts, ADamagedBlobThatIsThereAlreadyIsReplaced) {
  const ByteVector bytes = noise(5'000, 3);
  ASSERT_TRUE(write_layout(files_, layout_, "v1", bytes).ok());
  for (const auto& entry : std::filesystem::directory_iterator(layout_ + "/blobs/sha256"))
    if (entry.file_size() > 1000) put_text(entry.path(), std::string(entry.file_size(), 'x'));
  ASSERT_FALSE(read_layout(layout_, "v1").ok());
  ASSERT_TRUE(write_layout(files_, layout_, "v2", bytes).ok());
  EXPECT_EQ(read_layout(layout_, "v1").value(), bytes);
}

TEST_F(Layouts, EntriesOfOthersStay) {
  ASSERT_TRUE(write_layout(files_, layout_, "v1", noise(10, 1)).ok());
  Json index = Json::parse(text_of(layout_ + "/index.json"));
  index["annotations"] = {{"theirs", "kept"}};
  index["manifests"].push_back({{"mediaType", "application/vnd.oci.image.index.v1+json"},
                                {"digest", "sha512:00"},
                                {"size", 12},
                                {"platform", {{"os", "plan9"}}}});
  put_text(layout_ + "/index.json", index.dump());
  ASSERT_TRUE(write_layout(files_, layout_, "v2", noise(10, 2)).ok());
  Json after = Json::parse(text_of(layout_ + "/index.json"));
  ASSERT_EQ(after["manifests"].size(), 3U);
  after["manifests"].erase(2);
  EXPECT_EQ(after, index);
}

TEST_F(Layouts, WhatIsRefused) {
  const auto code = [&](const std::string& directory, const std::string& tag) {
    const auto done = write_layout(files_, directory, tag, noise(10, 1));
    return done.ok() ? std::optional<ErrorCode>() : done.error().code();
  };
  for (const char* tag : {"", ".a", "-a", "a/b", "a:b", "a b", "\xc3\xa4", "a\n"})
    EXPECT_EQ(code(layout_, tag), ErrorCode::kInvalid) << tag;
  EXPECT_EQ(code(layout_, std::string(129, 'a')), ErrorCode::kInvalid);
  EXPECT_FALSE(std::filesystem::exists(layout_));
  EXPECT_EQ(code(scratch_ / "none/layout", "v1"), ErrorCode::kNotFound);
  put_text(scratch_ / "file", "x");
  EXPECT_TRUE(code(scratch_ / "file", "v1"));
  EXPECT_EQ(code(scratch_.path(), "v1"), ErrorCode::kInvalid) << "no layout";
  EXPECT_EQ(paths_below(scratch_.path()).size(), 1U);

  EXPECT_FALSE(code(layout_, std::string(128, 'a')));
  const auto before = paths_below(layout_);
  EXPECT_EQ(code(layout_, std::string(128, 'a')), ErrorCode::kInvalid) << "taken";
  const auto writer = OciLayoutWriter::begin(files_, layout_, "v1");
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(code(layout_, "v2"), ErrorCode::kBusy);
  EXPECT_EQ(text_of(layout_ + "/.ashlar-lock"), "");
  for (const char* index :
       {"", "{", "[]", R"({"schemaVersion":1,"manifests":[]})", R"({"schemaVersion":2})"}) {
    const std::string other = scratch_ / "other";
    std::filesystem::remove_all(other);
    std::filesystem::create_directories(other + "/blobs");
    put_text(other + "/oci-layout", encode_oci_layout());
    put_text(other + "/index.json", index);
    EXPECT_EQ(code(other, "v1"), ErrorCode::kCorrupt) << index;
    EXPECT_EQ(text_of(other + "/index.json"), index);
  }
  EXPECT_EQ(paths_below(layout_).size(), before.size() + 1) << "the lock of the one that is writing";
}

TEST_F(Layouts, OneThatIsGivenUpLeavesNothing) {
  const auto given_up = [&](const std::string& tag) {
    const auto writer = OciLayoutWriter::begin(files_, layout_, tag, kTestPartBytes).take();
    ASSERT_TRUE(fill(*writer, noise(55'555, 1)).ok());
  };
  given_up("v1");
  EXPECT_FALSE(std::filesystem::exists(layout_));
  std::filesystem::create_directory(layout_);
  given_up("v1");
  EXPECT_TRUE(std::filesystem::exists(layout_)) << "the user made it";
  EXPECT_TRUE(paths_below(layout_).empty());
  ASSERT_TRUE(write_layout(files_, layout_, "v1", noise(55'000, 2)).ok());
  const auto before = paths_below(layout_);
  given_up("v2");
  EXPECT_EQ(paths_below(layout_), before);
  EXPECT_EQ(read_layout(layout_, "v1").value(), noise(55'000, 2));
}

TEST_F(Layouts, LeftoversOfOneThatDiedGo) {
  std::filesystem::create_directories(layout_ + "/blobs/sha256");
  for (const char* name :
       {".ashlar-lock", ".ashlar-index.json", "blobs/sha256/.ashlar-0", "blobs/sha256/.ashlar-17"})
    put_text(layout_ + "/" + name, "left");
  ASSERT_TRUE(write_layout(files_, layout_, "v1", noise(100, 2)).ok());
  for (const std::string& path : paths_below(layout_))
    EXPECT_EQ(path.find(".ashlar-"), std::string::npos) << path;
}

// skopeo does not know our lock, so another index may appear while we write.
TEST_F(Layouts, AnIndexThatAppearsMeanwhileIsKept) {
  const std::string other = scratch_ / "other";
  ASSERT_TRUE(write_layout(files_, other, "theirs", noise(5'000, 1)).ok());
  const auto appear = [&](const std::string& tag) {
    auto writer = OciLayoutWriter::begin(files_, layout_, tag, kTestPartBytes).take();
    EXPECT_TRUE(fill(*writer, noise(25'000, 2)).ok());
    std::filesystem::copy(
        other, layout_,
        std::filesystem::copy_options::recursive | std::filesystem::copy_options::skip_existing);
    return writer;
  };
  ASSERT_TRUE(appear("ours")->finish(about("ours")).ok());
  EXPECT_EQ(read_layout(layout_, "theirs").value(), noise(5'000, 1));
  EXPECT_EQ(read_layout(layout_, "ours").value(), noise(25'000, 2));
  std::filesystem::remove_all(layout_);
  EXPECT_EQ(appear("theirs")->finish(about("ours")).error().code(), ErrorCode::kInvalid)
      << "the tag is taken";
  EXPECT_EQ(read_layout(layout_, "theirs").value(), noise(5'000, 1)) << "with the config that both share";
}

// An index may appear after the writer has looked for it; tested on a file system with links and on one
// without.
TEST_F(Layouts, TheFirstIndexReplacesNone) {
  SimulatedFileSystem sound;
  ASSERT_TRUE(write_layout(sound, "/layout", "v1", noise(10, 1)).ok());
  std::uint64_t linking = 0;
  while (!sound.trace()[linking].starts_with("link")) ++linking;
  for (const int error_number : {EEXIST, EPERM, EIO}) {
    SimulatedFileSystem files;
    files.fail_operation(linking, error_number);
    const auto done = write_layout(files, "/layout", "v1", noise(10, 1));
    EXPECT_EQ(done.ok(), error_number == EPERM);
    EXPECT_EQ(read_layout(files, "/layout", "v1").ok(), error_number == EPERM);
  }
}

TEST_F(Layouts, LinksLeadNothingOut) {
  const std::string outside = scratch_ / "outside";
  std::filesystem::create_directories(outside + "/sha256");
  put_text(outside + "/.ashlar-0", "theirs");
  put_text(outside + "/sha256/.ashlar-0", "theirs");
  const auto before = paths_below(outside);
  const auto refused = [&](const std::string& name, const std::string& target) {
    std::filesystem::remove_all(layout_);
    std::filesystem::create_directories((std::filesystem::path(layout_) / name).parent_path());
    std::filesystem::create_symlink(target, std::filesystem::path(layout_) / name);
    const auto done = write_layout(files_, layout_, "v1", noise(100, 2));
    ASSERT_FALSE(done.ok()) << name;
    EXPECT_EQ(done.error().code(), ErrorCode::kInvalid) << name << ": " << done.error().text();
    EXPECT_NE(done.error().text().find("symbolic link"), std::string::npos) << done.error().text();
    EXPECT_EQ(paths_below(outside), before) << name;
  };
  refused("blobs", outside);
  refused("blobs/sha256", outside + "/sha256");
  refused(".ashlar-lock", outside + "/lock");
  refused("oci-layout", outside + "/version");
  refused("index.json", outside + "/index");
}

TEST_F(Layouts, WhatOnlyLooksLikeALeftoverStays) {
  ASSERT_TRUE(write_layout(files_, layout_, "v1", noise(100, 1)).ok());
  const std::vector<std::string> names = {".ashlar-notes", ".ashlar-0", "blobs/sha256/.ashlar-",
                                          "blobs/sha256/.ashlar-1x", "blobs/sha256/.ashlar-index.json"};
  for (const std::string& name : names) put_text(layout_ + "/" + name, "theirs");
  ASSERT_TRUE(write_layout(files_, layout_, "v2", noise(100, 2)).ok());
  for (const std::string& name : names) EXPECT_EQ(text_of(layout_ + "/" + name), "theirs") << name;
}

// A layout with one image, to which a second one is added, on a simulated disk.
class LayoutCrashes : public testing::Test {
 protected:
  static constexpr const char* kLayout = "/layout";
  const ByteVector one_ = noise(25'000, 1);
  const ByteVector two_ = noise(25'000, 2);

  void prepare(SimulatedFileSystem& files, bool with_one) {
    if (!with_one) return;
    ASSERT_TRUE(write_layout(files, kLayout, "one", one_).ok());
    ASSERT_TRUE(files.sync_directory("/").ok());
  }
  // Returns the numbers of the operations that adding the second image takes.
  std::pair<std::uint64_t, std::uint64_t> operations(bool with_one) {
    SimulatedFileSystem files;
    prepare(files, with_one);
    const std::uint64_t begin = files.operations();
    EXPECT_TRUE(write_layout(files, kLayout, "two", two_).ok());
    EXPECT_GT(files.operations(), begin + 15);
    return {begin, files.operations()};
  }
  // Checks that the layout has an index and no unfinished files, or that it has no directory.
  void expect_clean(SimulatedFileSystem& files) {
    const auto entries = files.list(kLayout);
    if (!entries.ok()) return;
    EXPECT_TRUE(files.file_size(std::string(kLayout) + "/index.json").ok());
    for (const char* folder : {"/layout", "/layout/blobs/sha256"}) {
      const auto found = files.list(folder).take();
      for (const DirectoryEntry& entry : found)
        EXPECT_FALSE(entry.name.starts_with(".ashlar-")) << entry.name;
    }
  }
  // Checks that each image is whole or absent, and that the second one can be written after the failure.
  void expect_whole(SimulatedFileSystem& files, bool with_one, bool two_is_done) {
    if (with_one) {
      EXPECT_TRUE(read_layout(files, kLayout, "one").value() == one_);
    }
    const auto two = read_layout(files, kLayout, "two");
    if (two_is_done) {
      EXPECT_TRUE(two.ok()) << two.error().text();
    }
    if (two.ok()) {
      EXPECT_TRUE(two.value() == two_);
      return;
    }
    // A directory without an index is not a layout yet, so reading it may fail in any way.
    const bool is_layout = files.file_size(std::string(kLayout) + "/index.json").ok();
    if (is_layout) {
      EXPECT_EQ(two.error().code(), ErrorCode::kNotFound) << two.error().text();
    }
    const auto again = write_layout(files, kLayout, "two", two_);
    ASSERT_TRUE(again.ok()) << again.error().text();
    EXPECT_TRUE(read_layout(files, kLayout, "two").value() == two_);
  }
};

TEST_F(LayoutCrashes, PowerLossAtEveryOperation) {
  for (const bool with_one : {false, true}) {
    const auto [begin, end] = operations(with_one);
    for (std::uint64_t n = begin; n <= end; ++n) {
      for (const std::uint64_t seed : {SimulatedFileSystem::kLoseUnsynced, SimulatedFileSystem::kKeepUnsynced,
                                       n + 1, n + 1000, n + 2000}) {
        SCOPED_TRACE(testing::Message()
                     << "operation " << n << " of " << begin << " to " << end << ", seed " << seed);
        SimulatedFileSystem files;
        prepare(files, with_one);
        files.stop_at(n);
        const bool done = write_layout(files, kLayout, "two", two_).ok();
        files.crash(seed);
        expect_whole(files, with_one, done);
        if (HasFailure()) return;
      }
    }
  }
}

TEST_F(LayoutCrashes, AFailureAtEveryOperation) {
  for (const bool with_one : {false, true}) {
    const auto [begin, end] = operations(with_one);
    for (std::uint64_t n = begin; n < end; ++n) {
      for (const int error_number : {EIO, ENOSPC}) {
        SimulatedFileSystem files;
        prepare(files, with_one);
        files.fail_operation(n, error_number);
        const auto trace_of_it = [&] { return files.trace().size() > n ? files.trace()[n] : std::string(); };
        const bool done = write_layout(files, kLayout, "two", two_).ok();
        SCOPED_TRACE(testing::Message() << "operation " << n << ": " << trace_of_it());
        // A lock whose removal failed is left to the next writer, and an index whose renaming failed may have
        // its name or not.
        const bool is_left = trace_of_it().starts_with("remove") || trace_of_it().ends_with("/index.json");
        if (!is_left) expect_clean(files);
        expect_whole(files, with_one, done);
        if (HasFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace ashlar
