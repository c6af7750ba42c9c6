// Layouts for tests: written by the writer, read back whole, and changed as another party would.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/random.h"
#include "io/file_system.h"
#include "support/temporary_directory.h"
#include "transfer/layout_reader.h"
#include "transfer/layout_writer.h"

namespace ashlar {

using Json = nlohmann::json;

inline constexpr std::uint64_t kTestPartBytes = 10'000;

inline ByteVector noise(std::size_t size, std::uint64_t seed) {
  ByteVector bytes(size);
  Prng(seed).fill(bytes);
  return bytes;
}

// Appends the bytes in pieces that match no part, with a cut after every fifth piece.
inline Status fill(OciLayoutWriter& writer, ByteSpan bytes) {
  for (std::size_t at = 0; at < bytes.size(); at += 1234) {
    TRY(writer.append(bytes.subspan(at, std::min<std::size_t>(1234, bytes.size() - at))));
    if (at % (5 * 1234) == 0) TRY(writer.cut());
  }
  return {};
}

inline OciManifest about(const std::string& name) { return {{}, name, UtcTime{}, ImageId{7}, {}}; }

inline Result<OciBlob> write_layout(FileSystem& files, const std::string& directory, const std::string& tag,
                                    ByteSpan bytes) {
  const auto writer = TRY(OciLayoutWriter::begin(files, directory, tag, kTestPartBytes));
  TRY(fill(*writer, bytes));
  return writer->finish(about(tag));
}

inline Result<ByteVector> read_to_end(Result<OciLayoutReader> opened) {
  OciLayoutReader reader = TRY(std::move(opened));
  ByteVector all;
  ByteVector piece(777);
  for (;;) {
    const std::size_t got = TRY(reader.read(piece));
    all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
    if (got < piece.size()) return all;
  }
}
inline Result<ByteVector> read_layout(const std::string& directory, const std::string& tag) {
  return read_to_end(OciLayoutReader::open(directory, tag));
}
// Reads a layout from any file system.
inline Result<ByteVector> read_layout(FileSystem& files, const std::string& directory,
                                      const std::string& tag) {
  return read_to_end(OciLayoutReader::open(
      [&files, directory](const std::string& name) {
        return files.open(directory + "/" + name, ReadMode::kCached);
      },
      tag));
}

inline std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void put_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}
inline std::vector<std::string> paths_below(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code missing;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, missing))
    paths.push_back(entry.path().string());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace ashlar
