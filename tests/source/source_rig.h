// The common part of the tests of sources: a temporary directory, commands, and reading a whole source with
// several threads.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "source/source.h"

namespace ashlar {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "ashlar-source-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary directory";
    path_ = pattern;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs a shell command. Returns whether it exited with 0.
inline bool shell(const std::string& command) {
  const int status =
      std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe): these tests run in one thread
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// Returns what a command prints, without the last newline.
inline std::string shell_output(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) text.push_back(static_cast<char>(c));
  ::pclose(pipe);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

inline bool is_root() { return ::geteuid() == 0; }

inline void write_at(const std::string& path, std::uint64_t offset, ByteSpan bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.flush();
  ASSERT_TRUE(file.good()) << path;
}

inline void make_file(const std::string& path, std::uint64_t size) {
  std::ofstream(path).close();
  std::filesystem::resize_file(path, size);
}

inline ByteVector random_bytes(std::uint64_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Prng(seed).fill(bytes);
  return bytes;
}

inline ByteVector file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ByteVector bytes(std::filesystem::file_size(path));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  EXPECT_TRUE(file.good()) << path;
  return bytes;
}

inline std::unique_ptr<Source> must_open(const std::string& spec, const SourceOptions& options = {}) {
  Result<std::unique_ptr<Source>> source = open_source(spec, options);
  if (!source.ok()) {
    ADD_FAILURE() << source.error().text();
    return nullptr;
  }
  return source.take();
}

// Returns all extents in order, and checks that they join without gaps and stay on block boundaries.
inline std::vector<SourceExtent> extents_of(Source& source) {
  std::vector<SourceExtent> extents;
  const std::uint64_t size = source.size()->value;
  for (std::uint64_t at = 0; at < size;) {
    Result<SourceExtent> next = source.next_extent(ByteOffset{at});
    if (!next.ok()) {
      ADD_FAILURE() << next.error().text();
      break;
    }
    const SourceExtent extent = next.value();
    EXPECT_EQ(extent.offset.value, at);
    EXPECT_GT(extent.bytes.value, 0U);
    at += extent.bytes.value;
    EXPECT_TRUE(at == size || at % kBlockBytes == 0) << at << " of " << size;
    if (at > size || extent.bytes.value == 0) break;
    extents.push_back(extent);
  }
  return extents;
}

// Returns a plan of requests for [0, size) in pieces of `run_bytes`.
inline RunReader::Plan whole_plan(std::uint64_t size, std::uint64_t run_bytes = kLeafBytes) {
  return [size, run_bytes, at = std::uint64_t{0},
          ordinal = std::uint64_t{0}]() mutable -> Result<std::optional<RunRequest>> {
    if (at >= size) return std::optional<RunRequest>();
    const RunRequest request{ordinal++, ByteOffset{at}, ByteCount{std::min(run_bytes, size - at)}};
    at += request.bytes.value;
    return std::optional(request);
  };
}

struct Contents {
  ByteVector bytes;  // bytes by offset; 0xEE where no run came
  std::vector<BlockRange> unreadable;
  std::vector<std::string> errors;
  std::uint64_t runs = 0;
};

// Reads all runs of a reader with several threads.
inline Contents drain(RunReader& reader, std::uint64_t size, unsigned threads) {
  Contents contents;
  contents.bytes.assign(size, std::byte{0xEE});
  std::mutex mutex;
  const auto work = [&] {
    while (true) {
      Result<std::optional<Run>> run = reader.next();
      const std::lock_guard lock(mutex);
      if (!run.ok()) {
        contents.errors.push_back(run.error().text());
        return;
      }
      if (!run.value()) return;
      const Run& got = *run.value();
      const std::uint64_t at = got.offset.value;
      if (contents.bytes.size() < at + got.bytes.size()) contents.bytes.resize(at + got.bytes.size());
      std::memcpy(contents.bytes.data() + at, got.bytes.data(), got.bytes.size());
      contents.unreadable.insert(contents.unreadable.end(), got.unreadable.begin(), got.unreadable.end());
      ++contents.runs;
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 0; i < threads; ++i) workers.emplace_back(work);
  workers.clear();
  std::sort(contents.unreadable.begin(), contents.unreadable.end(),
            [](BlockRange a, BlockRange b) { return a.first < b.first; });
  return contents;
}

inline Contents read_whole(Source& source, unsigned threads, std::uint64_t run_bytes = kLeafBytes) {
  const std::uint64_t size = source.size()->value;
  Result<std::unique_ptr<RunReader>> reader = source.read(whole_plan(size, run_bytes));
  if (!reader.ok()) return Contents{{}, {}, {reader.error().text()}, 0};
  return drain(*reader.value(), size, threads);
}

// Returns `bytes` padded with zeros to whole blocks, as runs are.
inline ByteVector padded(ByteVector bytes) {
  bytes.resize((bytes.size() + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  return bytes;
}

}  // namespace ashlar
