// World and Image: a store and images for tests of whole flows.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "capture/capture.h"
#include "repo/repo.h"
#include "restore/restore.h"
#include "scrub/verify.h"
#include "source/source.h"
#include "support/temporary_directory.h"

namespace ashlar {

#define ASSERT_OK(result)                                                         \
  do {                                                                            \
    const auto& checked_ = (result);                                              \
    ASSERT_TRUE(checked_.ok()) << (checked_.ok() ? "" : checked_.error().text()); \
  } while (false)

inline std::vector<std::byte> file_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  std::vector<std::byte> bytes(static_cast<std::size_t>(in.tellg()));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// Returns the paths of all files below a directory, in no order.
inline std::vector<std::string> files_below(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

// Flips a bit of the byte at `offset`; a second call flips it back.
inline void flip(const std::string& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(static_cast<std::streamoff>(offset));
  const auto byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(byte);
}

// An image as a file on disk, and as a vector in memory that is the model of it.
class Image {
 public:
  Image(std::string path, std::uint64_t size) : path_(std::move(path)), model_(size) {
    std::ofstream(path_, std::ios::binary);
    std::filesystem::resize_file(path_, size);
  }
  const std::string& path() const { return path_; }
  const std::vector<std::byte>& model() const { return model_; }

  void write(std::uint64_t offset, ByteSpan bytes) {
    std::fstream out(path_, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(offset));
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::memcpy(model_.data() + offset, bytes.data(), bytes.size());
  }
  void resize(std::uint64_t size) {
    model_.resize(size);
    std::filesystem::resize_file(path_, size);
  }
  // Writes random, repetitive, zero or copied bytes to a random place.
  void edit(Prng& prng) {
    if (model_.empty()) return;
    const std::uint64_t longest = prng.below(4) == 0 ? (6ULL << 20) : (64ULL << 10);
    const std::uint64_t offset = prng.below(model_.size());
    std::vector<std::byte> bytes(std::min(model_.size() - offset, 1 + prng.below(longest)));
    switch (prng.below(4)) {
      case 0:
        prng.fill(bytes);
        break;
      case 1:
        std::fill(bytes.begin(), bytes.end(), std::byte{0});
        break;
      case 2:
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((offset + i) / 700);
        break;
      default: {
        const std::uint64_t from = prng.below(model_.size() - bytes.size() + 1);
        std::memcpy(bytes.data(), model_.data() + from, bytes.size());
      }
    }
    write(offset, bytes);
  }

 private:
  std::string path_;
  std::vector<std::byte> model_;
};

class World {
 public:
  World(FileSystem& files, std::string store, HostChoice choice = {})
      : files_(files), path_(std::move(store)), choice_(std::move(choice)) {}

  Status open() {
    repo_.reset();
    repo_ = TRY(Repo::open(files_, StoreAddress{path_}, choice_));
    return {};
  }
  Repo& repo() { return *repo_; }
  // Makes each the world of the other's store; both are on one file system.
  void swap(World& other) {
    CHECK(&files_ == &other.files_);
    std::swap(path_, other.path_);
    std::swap(choice_, other.choice_);
    std::swap(repo_, other.repo_);
  }

  Result<CaptureReport> capture_file(const std::string& image, const CaptureOptions& options = {}) {
    const auto source = TRY(open_source(image, {}));
    return capture_source(*source, options);
  }
  Result<CaptureReport> capture_source(Source& source, const CaptureOptions& options) {
    const WriteParts parts = TRY(repo_->write_parts());
    CaptureProgress progress;
    return capture(parts, source, options, progress, {});
  }
  Result<RestoreReport> restore_to(const SnapshotRecord& snapshot, const std::string& path,
                                   RestoreOptions options = {}) {
    const auto target = TRY(Target::open(path, snapshot.size, true));
    options.delta = options.delta || target->is_resumed();
    RestoreProgress progress;
    return restore(TRY(repo_->read_parts()), snapshot, *target, options, progress, {});
  }
  Result<std::vector<BlockRange>> compare_with(const SnapshotRecord& snapshot, const std::string& path) {
    const auto target = TRY(Target::open_to_compare(path));
    RestoreProgress progress;
    return compare(TRY(repo_->read_parts()), snapshot, *target, progress, {});
  }
  Result<VerifyReport> verify() {
    VerifyProgress progress;
    return verify_all(TRY(repo_->verify_parts()), progress, {});
  }

 private:
  FileSystem& files_;
  std::string path_;
  HostChoice choice_;
  std::unique_ptr<Repo> repo_;
};

}  // namespace ashlar
