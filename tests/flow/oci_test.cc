// Tests of images through OCI layouts: an exported image is imported equal, and a changed layout imports
// nothing.
#include <nlohmann/json.hpp>

#include "flow/bundle_world.h"
#include "support/snapshots.h"
#include "transfer/layout_reader.h"
#include "transfer/layout_writer.h"

namespace ashlar {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

class OciImages : public BundleWorld {
 protected:
  void exported_to(const std::string& layout, const std::string& tag, const ImageRecord& image) {
    const auto writer = OciLayoutWriter::begin(posix_file_system(), layout, tag, kMiB).take();
    std::uint64_t bytes = 0;
    const BundleOutput output{[&](ByteSpan piece) { return writer->append(piece); },
                              [&] { return writer->cut(); }};
    ASSERT_OK(write(image, {}, output, bytes));
    ASSERT_OK(writer->finish({{}, image.name, image.created, image.id, {}}));
  }
  Result<ImageCopyReport> imported_from(const std::string& layout, const std::string& name) {
    OciLayoutReader reader = TRY(OciLayoutReader::open(layout, "v1"));
    return imported([&](MutableByteSpan out) { return reader.read(out); }, name);
  }
  void forget(const ImageCopyReport& report) {
    ImageCatalog images(there_.repo().objects());
    ASSERT_OK(images.remove(report.image.id));
    for (const SnapshotRecord& record : report.copy.records)
      ASSERT_OK(remove_snapshot(there_.repo().objects(), record.id));
  }
  bool nothing_is_visible() {
    return there_.repo().snapshots().list_ids().take().empty() &&
           ImageCatalog(there_.repo().objects()).list_ids().take().empty();
  }

  static std::string text_of(const std::string& path) {
    const ByteVector bytes = file_bytes(path);
    return std::string(as_text(bytes));
  }
  static void put_text(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  }
  // Changes the manifest and makes all digests and sizes right again, as an attacker who knows the format
  // would.
  static void change_manifest(const std::string& layout, const std::function<void(Json& layers)>& change) {
    Json index = Json::parse(text_of(layout + "/index.json"));
    Json& entry = index["manifests"][0];
    Json manifest =
        Json::parse(text_of(layout + "/blobs/sha256/" + entry["digest"].get<std::string>().substr(7)));
    change(manifest["layers"]);
    const std::string text = manifest.dump();
    const Sha256 digest = sha256(as_byte_span(text));
    put_text(layout + "/" + oci_blob_path(digest), text);
    entry["digest"] = oci_digest_text(digest);
    entry["size"] = text.size();
    put_text(layout + "/index.json", index.dump());
  }

  std::string made_ = directory_ / "made";
  std::string layout_ = directory_ / "layout";
};

TEST_F(OciImages, WhatGoesOutComesIn) {
  const ImageRecord image = sample("web");
  exported_to(made_, "v1", image);
  const auto report = imported_from(made_, "");
  ASSERT_OK(report);
  EXPECT_EQ(image_digest(report.value().image), image_digest(image));
  EXPECT_TRUE(there_.verify().take().damages.empty());
}

TEST_F(OciImages, ThreeHundredMalformedOnes) {
  const ImageRecord image = sample("web");
  exported_to(made_, "v1", image);
  int refused = 0;
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(made_))
    if (entry.is_regular_file()) files.push_back(fs::relative(entry.path(), made_).string());
  std::ranges::sort(files);
  ASSERT_GT(files.size(), 6U);
  Prng prng(17);
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    fs::remove_all(layout_);
    fs::copy(made_, layout_, fs::copy_options::recursive);
    const std::string file = layout_ + "/" + files[prng.below(files.size())];
    const std::string other = layout_ + "/" + files[prng.below(files.size())];
    std::string text = text_of(file);
    SCOPED_TRACE(file);
    bool is_changed = true;
    switch (round % 8) {
      case 0:
        text.resize(prng.below(text.size()));
        put_text(file, text);
        break;
      case 1: {
        char& byte = text[prng.below(text.size())];
        byte = static_cast<char>(byte ^ (1 << prng.below(7)));
        put_text(file, text);
        break;
      }
      case 2:
        is_changed = !file.ends_with(".json") && !file.ends_with("-layout");
        put_text(file, text + std::string(1 + prng.below(100), is_changed ? '\n' : ' '));
        break;
      case 3:
        is_changed = file != other;
        put_text(file, text_of(other));
        break;
      case 4:
        fs::remove(file);
        break;
      case 5:
        change_manifest(layout_, [&](Json& layers) { layers.erase(prng.below(layers.size())); });
        break;
      case 6:
        change_manifest(layout_, [&](Json& layers) {
          layers.insert(layers.begin() + static_cast<std::ptrdiff_t>(prng.below(layers.size())),
                        Json(layers[prng.below(layers.size())]));
        });
        break;
      default:
        change_manifest(layout_, [&](Json& layers) {
          const std::size_t one = prng.below(layers.size() - 1);
          std::swap(layers[one], layers[one + 1 + prng.below(layers.size() - one - 1)]);
        });
        break;
    }
    if (!is_changed) continue;
    const auto report = imported_from(layout_, fmt::format("name-{}", round));
    if (report.ok()) {  // the bit is in a member of index.json that the import does not use
      ASSERT_TRUE(round % 8 == 1 && file.ends_with("index.json"));
      ASSERT_EQ(image_digest(report.value().image), image_digest(image));
      forget(report.value());
      continue;
    }
    ++refused;
    const std::string& said = report.error().text();
    EXPECT_TRUE(!said.empty() && said.find('\n') == std::string::npos) << said;
    EXPECT_NE(report.error().code(), ErrorCode::kIo) << said;
    ASSERT_TRUE(nothing_is_visible()) << said;
  }
  EXPECT_GT(refused, 250);
  ASSERT_OK(imported_from(made_, "whole"));
}

}  // namespace
}  // namespace ashlar
