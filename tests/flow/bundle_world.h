// BundleWorld: two stores, and images that travel from one to the other as bundles.
#pragma once

#include <algorithm>

#include "catalog/images.h"
#include "flow/world.h"
#include "image/contents.h"
#include "image/register.h"
#include "transfer/bundle_reader.h"
#include "transfer/bundle_writer.h"

namespace ashlar {

inline constexpr std::uint64_t kMiB = 1 << 20;

inline void append(ByteVector& out, ByteSpan bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

class BundleWorld : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"here", "there"})
      ASSERT_OK(Repo::init(posix_file_system(), StoreAddress{directory_ / name}, {}));
    ASSERT_OK(here_.open());
    ASSERT_OK(there_.open());
  }

  ImageRecord made(const std::string& name, const std::vector<SnapshotRecord>& disks) {
    ImageRecord wanted;
    wanted.owner = AccountId{1};
    wanted.name = name;
    wanted.root_device = "/dev/sda";
    for (std::size_t i = 0; i < disks.size(); ++i) {
      ImageDevice& device = wanted.devices.emplace_back();
      device.name = "/dev/sd" + std::string(1, static_cast<char>('a' + i));
      device.content.snapshot = disks[i].id;
    }
    ImageCatalog images(here_.repo().objects());
    return register_image(images, here_.repo().snapshots(), wanted).take();
  }
  ImageRecord sample(const std::string& name) {
    Image first(directory_ / (name + "-1"), 5 * kMiB + 300);
    Image second(directory_ / (name + "-2"), kMiB);
    Prng prng(11);
    for (int i = 0; i < 12; ++i) first.edit(prng);
    for (int i = 0; i < 3; ++i) second.edit(prng);
    return made(name, {here_.capture_file(first.path()).take().record,
                       here_.capture_file(second.path()).take().record});
  }

  Status write(const ImageRecord& image, const std::optional<ImageRecord>& since, const BundleOutput& output,
               std::uint64_t& bytes) {
    Repo& repo = here_.repo();
    BundleHeader header{repo.config().id, image.id, since ? since->id : ImageId{}, {}, {}};
    if (since) header.set_original(since->source_store, since->source_image);
    std::vector<SnapshotRecord> base;
    if (since) base = records_of(*since, repo.snapshots()).take();
    CopyProgress progress;
    bytes = TRY(write_bundle(repo.read_parts().take(), header, image,
                             records_of(image, repo.snapshots()).take(), base, output, progress, {}))
                .bytes;
    return {};
  }
  ByteVector exported(const ImageRecord& image, const std::optional<ImageRecord>& since = {}) {
    ByteVector out;
    std::uint64_t bytes = 0;
    const BundleOutput output{[&](ByteSpan piece) {
      append(out, piece);
      return Status();
    }};
    EXPECT_TRUE(write(image, since, output, bytes).ok());
    EXPECT_EQ(bytes, out.size());
    return out;
  }

  Result<ImageCopyReport> imported(const ReadBytes& read, const std::string& name) {
    Repo& repo = there_.repo();
    std::filesystem::remove(directory_ / "scratch");
    const auto scratch = TRY(posix_file_system().create_random(directory_ / "scratch", 64 * kMiB));
    const WriteParts target = TRY(repo.write_parts());
    CopyProgress progress;
    return import_image({target, *TRY(repo.nodes()), *scratch}, read,
                        [](const ImageRecord&) { return Status(); }, {name, AccountId{2}, false, true},
                        progress, {});
  }
  Result<ImageCopyReport> imported(ByteSpan bundle, const std::string& name = {}) {
    std::size_t at = 0;
    return imported(
        [&](MutableByteSpan out) -> Result<std::size_t> {
          const std::size_t size = std::min(out.size(), bundle.size() - at);
          if (size > 0) std::memcpy(out.data(), bundle.data() + at, size);
          at += size;
          return size;
        },
        name);
  }

  // Returns the paths of all objects of the other store, without those of folders that hold only records of
  // the past (such as traces).
  std::vector<std::string> objects_there() const {
    std::vector<std::string> paths;
    for (const char* folder : {"packs", "meta", "snapshots", "images", "image-names", "sessions"}) {
      std::error_code missing;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(
               std::string(directory_ / "there") + "/" + folder, missing)) {
        if (entry.is_regular_file()) paths.push_back(entry.path());
      }
    }
    std::ranges::sort(paths);
    return paths;
  }

  TemporaryDirectory directory_;
  World here_{posix_file_system(), directory_ / "here"};
  World there_{posix_file_system(), directory_ / "there"};
};

}  // namespace ashlar
