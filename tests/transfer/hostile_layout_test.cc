// Tests of changed layouts: each is refused with one line, or still reads as the same bundle.
#include <sys/stat.h>

#include "transfer/layout_rig.h"

namespace ashlar {
namespace {

class HostileLayouts : public testing::Test {
 protected:
  void SetUp() override {
    bytes_ = noise(35'000, 5);
    ASSERT_TRUE(write_layout(posix_file_system(), made_, "v1", bytes_).ok());
    index_ = Json::parse(text_of(made_ + "/index.json"));
    manifest_ = Json::parse(text_of(blob_path(made_, index_["manifests"][0])));
    ASSERT_EQ(manifest_["layers"].size(), 7U);
  }

  static std::string blob_path(const std::string& layout, const Json& descriptor) {
    return layout + "/blobs/sha256/" + descriptor["digest"].get<std::string>().substr(7);
  }
  void put_index(const Json& index) { put_text(layout_ + "/index.json", index.dump()); }
  // Writes the manifest, and an index with the right digest and size for it.
  void put_manifest(const std::string& text) {
    const Sha256 digest = sha256(as_byte_span(text));
    put_text(layout_ + "/" + oci_blob_path(digest), text);
    Json index = index_;
    index["manifests"][0]["digest"] = oci_digest_text(digest);
    index["manifests"][0]["size"] = text.size();
    put_index(index);
  }
  // Replaces the layout with a fresh copy of the one that was written.
  void start_over() {
    std::filesystem::remove_all(layout_);
    std::filesystem::copy(made_, layout_, std::filesystem::copy_options::recursive);
  }
  void expect_refused(const std::string& what, std::optional<ErrorCode> code = {},
                      const std::string& says = "") {
    const auto read = read_layout(layout_, "v1");
    ++tried_;
    ASSERT_FALSE(read.ok()) << what;
    const Error& error = read.error();
    EXPECT_TRUE(!error.text().empty() && error.text().size() < 400) << what << ": " << error.text();
    EXPECT_TRUE(std::ranges::none_of(error.text(), [](char c) { return static_cast<unsigned char>(c) < 32; }))
        << what << ": " << error.text();
    if (code) {
      EXPECT_EQ(error.code(), *code) << what << ": " << error.text();
    }
    EXPECT_NE(error.code(), ErrorCode::kIo) << what << ": " << error.text();
    EXPECT_NE(error.text().find(says), std::string::npos) << what << ": " << error.text();
  }

  TemporaryDirectory scratch_;
  std::string made_ = scratch_ / "made";
  std::string layout_ = scratch_ / "layout";
  ByteVector bytes_;
  Json index_;
  Json manifest_;
  int tried_ = 0;
};

// Returns wrong values for a member: other types, and values that are almost right.
std::vector<Json> wrong_values(const Json& right) {
  std::vector<Json> wrong = {nullptr,
                             true,
                             -1,
                             0,
                             1.5,
                             3,
                             "",
                             "x",
                             "\n\x1b[31m",
                             Json::array(),
                             Json::object(),
                             Json::array({1}),
                             {{"a", "b"}},
                             std::uint64_t{1} << 63U,
                             1e300};
  if (right.is_string()) {
    const std::string text = right.get<std::string>();
    for (const std::string& almost :
         {text + "0", text.substr(1), text.substr(0, text.size() - 1), " " + text})
      wrong.emplace_back(almost);
    if (text.starts_with("sha256:")) {
      const std::string hex = text.substr(7);
      for (const std::string& bad :
           {hex, "sha512:" + hex, "sha256:" + std::string(64, 'A'), "sha256:../../" + hex.substr(6),
            "sha256:" + std::string(64, '/'), "sha256:" + hex + hex, "SHA256:" + hex,
            "sha256:" + std::string(64, '0')})
        wrong.emplace_back(bad);
    }
  }
  if (right.is_number()) {
    const std::uint64_t number = right.get<std::uint64_t>();
    for (const std::uint64_t almost : {number + 1, number - 1, number + (std::uint64_t{1} << 32U)})
      wrong.emplace_back(almost);
  }
  std::erase(wrong, right);
  return wrong;
}

TEST_F(HostileLayouts, EveryMemberIsNeededAndOfOneForm) {
  using Pointer = Json::json_pointer;
  for (const char* member :
       {"/schemaVersion", "/manifests", "/manifests/0/mediaType", "/manifests/0/digest", "/manifests/0/size",
        "/manifests/0/annotations", "/manifests/0/annotations/org.opencontainers.image.ref.name"}) {
    for (const Json& value : wrong_values(index_.at(Pointer(member)))) {
      start_over();
      Json index = index_;
      index.at(Pointer(member)) = value;
      put_index(index);
      expect_refused(member + (" = " + value.dump()));
    }
  }
  for (const char* member :
       {"/schemaVersion", "/mediaType", "/artifactType", "/config", "/config/mediaType", "/config/digest",
        "/config/size", "/layers", "/layers/0", "/layers/0/mediaType", "/layers/0/digest", "/layers/0/size",
        "/layers/6/mediaType", "/layers/6/digest", "/layers/6/size"}) {
    for (const Json& value : wrong_values(manifest_.at(Pointer(member)))) {
      start_over();
      Json manifest = manifest_;
      manifest.at(Pointer(member)) = value;
      put_manifest(manifest.dump());
      expect_refused(member + (" = " + value.dump()));
    }
    if (std::string(member) == "/layers/0" || std::string(member) == "/mediaType") continue;
    start_over();
    Json manifest = manifest_;
    const Pointer pointer(member);
    manifest.at(pointer.parent_pointer()).erase(pointer.back());
    put_manifest(manifest.dump());
    expect_refused(std::string("without ") + member);
  }
  for (const Json& value : wrong_values("1.0.0")) {
    start_over();
    put_text(layout_ + "/oci-layout", Json({{"imageLayoutVersion", value}}).dump());
    expect_refused("version " + value.dump());
  }
  EXPECT_GT(tried_, 350);
}

TEST_F(HostileLayouts, JsonThatIsNone) {
  for (const char* name : {"index.json", "oci-layout"}) {
    const std::string whole = text_of(made_ + "/" + std::string(name));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      start_over();
      put_text(layout_ + "/" + name, whole.substr(0, size));
      expect_refused(name + std::string(" cut off"), ErrorCode::kCorrupt);
    }
  }
  const std::string whole = manifest_.dump();
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    start_over();
    put_manifest(whole.substr(0, size));
    expect_refused("manifest cut off", ErrorCode::kCorrupt);
  }
  const std::string deep(1'000'000, '[');
  const std::string nested = R"({"schemaVersion":2,"manifests":[],"x":)" + deep + "}";
  for (const std::string& text :
       {deep, nested, std::string(5 << 20, ' '), std::string("\xff\xfe"), std::string("null")}) {
    start_over();
    put_text(layout_ + "/index.json", text);
    expect_refused("index.json", ErrorCode::kCorrupt);
    start_over();
    put_manifest(text);
    expect_refused("manifest", ErrorCode::kCorrupt);
  }
  // The manifest has one layer more than is allowed.
  start_over();
  Json many = manifest_;
  many["layers"] = Json::array();
  for (std::size_t i = 0; i <= kMaxOciParts; ++i) many["layers"].push_back(manifest_["layers"][0]);
  put_manifest(many.dump());
  expect_refused("too many layers", ErrorCode::kCorrupt);
}

TEST_F(HostileLayouts, PartsInAnotherOrderAreAnotherStream) {
  start_over();
  Json manifest = manifest_;
  std::swap(manifest["layers"][1], manifest["layers"][2]);
  put_manifest(manifest.dump());
  const auto read = read_layout(layout_, "v1");
  ASSERT_TRUE(read.ok()) << "what is in the parts is for the bundle's reader to judge";
  EXPECT_FALSE(read.value() == bytes_);
}

TEST_F(HostileLayouts, MembersThatNobodyAskedForAreLeftAlone) {
  start_over();
  Json manifest = manifest_;
  manifest["subject"] = {{"mediaType", "x"}};
  manifest["annotations"] = {{"vnd.ashlar.image", 12}};
  put_manifest(manifest.dump());
  EXPECT_TRUE(read_layout(layout_, "v1").value() == bytes_);
}

TEST_F(HostileLayouts, FilesThatAreDamaged) {
  std::vector<std::string> files = {layout_ + "/oci-layout",
                                    layout_ + "/index.json",
                                    layout_ + "/blobs",
                                    layout_ + "/blobs/sha256",
                                    blob_path(layout_, index_["manifests"][0]),
                                    blob_path(layout_, manifest_["config"])};
  for (const Json& layer : manifest_["layers"]) files.push_back(blob_path(layout_, layer));
  namespace fs = std::filesystem;
  for (const std::string& file : files) {
    start_over();
    fs::remove_all(file);
    expect_refused(file + " is missing", ErrorCode::kCorrupt, "missing");

    start_over();
    fs::rename(file, scratch_ / "moved");
    fs::create_symlink(scratch_ / "moved", file);
    expect_refused(file + " is a link", ErrorCode::kCorrupt, "link");
    fs::remove_all(scratch_ / "moved");

    start_over();
    fs::remove_all(file);
    ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
    expect_refused(file + " is a pipe", ErrorCode::kCorrupt);
    fs::remove(file);
    fs::create_directory(file);
    expect_refused(file + " is an empty directory", ErrorCode::kCorrupt);

    start_over();
    if (!fs::is_regular_file(file)) continue;
    const std::string text = text_of(file);
    put_text(file, text.substr(0, text.size() - 1));
    expect_refused(file + " is shorter", ErrorCode::kCorrupt);
    if (!file.starts_with(layout_ + "/blobs")) continue;
    put_text(file, text + " ");
    expect_refused(file + " is longer", ErrorCode::kCorrupt, "size");
    for (const std::size_t at : {std::size_t{0}, text.size() / 2, text.size() - 1}) {
      std::string flipped = text;
      flipped[at] = static_cast<char>(flipped[at] ^ 1);
      put_text(file, flipped);
      expect_refused(file + " is changed", ErrorCode::kCorrupt, "digest");
    }
  }
  EXPECT_GT(tried_, 80);
}

TEST_F(HostileLayouts, NothingIsBelievedOfAPartBeforeItsEnd) {
  start_over();
  const std::string file = blob_path(layout_, manifest_["layers"][6]);
  std::string text = text_of(file);
  text[0] = static_cast<char>(text[0] ^ 1);
  put_text(file, text);
  auto reader = OciLayoutReader::open(layout_, "v1").take();
  ByteVector all(bytes_.size() - 1);
  EXPECT_EQ(reader.read(all).value(), all.size());
  std::array<std::byte, 1> last{};
  const auto end = reader.read(last);
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().code(), ErrorCode::kCorrupt);
}

TEST_F(HostileLayouts, OtherThingsAreNamed) {
  start_over();
  Json container = manifest_;
  container.erase("artifactType");
  container["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json";
  put_manifest(container.dump());
  expect_refused("a container image", ErrorCode::kInvalid, "container image");
  Json index = index_;
  index["manifests"][0]["mediaType"] = "application/vnd.oci.image.index.v1+json";
  put_index(index);
  expect_refused("a container image for several platforms", ErrorCode::kInvalid, "platforms");
  Json artifact = manifest_;
  artifact["artifactType"] = "application/vnd.other.v1";
  put_manifest(artifact.dump());
  expect_refused("an artifact", ErrorCode::kInvalid, "another kind");
  put_text(layout_ + "/oci-layout", R"({"imageLayoutVersion":"2.0.0"})");
  expect_refused("a newer layout", ErrorCode::kUnsupported, "version");
  start_over();
  index = index_;
  index["manifests"].push_back(index["manifests"][0]);
  put_index(index);
  expect_refused("a tag twice", ErrorCode::kCorrupt, "same tag");
  EXPECT_EQ(read_layout(scratch_ / "none", "v1").error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace ashlar
