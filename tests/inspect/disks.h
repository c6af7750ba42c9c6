// DiskTest: disks for inspections, made by the real sfdisk and mkfs, and kept in memory.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "inspect/inspect.h"
#include "support/temporary_directory.h"

namespace ashlar {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

class MemoryDisk : public Disk {
 public:
  explicit MemoryDisk(ByteVector bytes) : bytes_(std::move(bytes)) {}

  ByteCount size() const override { return ByteCount{bytes_.size()}; }
  Status read(ByteOffset offset, MutableByteSpan out) const override {
    if (offset.value < fails_before_) return Error(ErrorCode::kIo, "the disk is broken");
    read_bytes_ += out.size();
    std::memcpy(out.data(), bytes_.data() + offset.value, out.size());
    return {};
  }
  Result<bool> is_blank(ByteOffset offset, ByteCount bytes) const override {
    return is_zero(ByteSpan(bytes_).subspan(offset.value, bytes.value));
  }

  ByteVector& bytes() { return bytes_; }
  void fail_before(std::uint64_t offset) { fails_before_ = offset; }
  std::uint64_t read_bytes() const { return read_bytes_; }

 private:
  ByteVector bytes_;
  std::uint64_t fails_before_ = 0;
  mutable std::uint64_t read_bytes_ = 0;
};

inline ByteVector bytes_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  ByteVector bytes(static_cast<std::size_t>(in.tellg()));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

// Returns "kind path" for each finding, with the number of the partition before it where there are
// partitions.
inline std::multiset<std::string> found_in(const DiskReport& report) {
  std::multiset<std::string> found;
  for (const Finding& finding : report.findings) {
    const std::string where = finding.partition == 0 ? "" : fmt::format("{} ", finding.partition);
    found.insert(fmt::format("{}{} {}", where, finding.kind, finding.path));
  }
  return found;
}

inline std::string doubts_of(const DiskReport& report) {
  std::string all;
  for (const InspectedPart& part : report.parts) {
    for (const std::string& doubt : part.doubts) all += fmt::format("{}: {}\n", part.partition, doubt);
  }
  return all;
}

class DiskTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return directory_ / name; }

  void run(const std::string& command) const {
    const std::string whole =
        fmt::format("PATH=$PATH:/usr/sbin:/sbin; cd {} && {{ {}; }} >log 2>&1", path(""), command);
    ASSERT_EQ(std::system(whole.c_str()), 0) << command << ": " << text_of("log");
  }
  std::string text_of(const std::string& name) const {
    std::ifstream in(path(name));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // Writes a file below the folder from which mkfs makes a file system.
  void put(const std::string& name, const std::string& text, const std::string& folder = "tree") const {
    const std::filesystem::path file = path(folder) + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  // Makes the folders that tell a root file system from one that is mounted below it.
  void put_root() const {
    for (const char* name : {"bin", "etc", "sbin", "usr", "var"})
      std::filesystem::create_directories(path("tree") + "/" + name);
  }
  void put_link(const std::string& name, const std::string& target) const {
    const std::filesystem::path file = path("tree") + name;
    std::filesystem::create_directories(file.parent_path());
    std::filesystem::create_symlink(target, file);
  }
  ByteVector make(const std::string& mkfs, const std::string& size = "16M") const {
    run(fmt::format("rm -f disk && truncate -s {} disk && {} disk", size, mkfs));
    return bytes_of_file(path("disk"));
  }
  static DiskReport inspect(const Disk& disk) {
    auto report = inspect_disk(disk, {});
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report.take() : DiskReport();
  }
  static DiskReport inspect(ByteVector bytes) { return inspect(MemoryDisk(std::move(bytes))); }

  TemporaryDirectory directory_;
};

inline const std::string kKeyText =
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n-----END OPENSSH PRIVATE KEY-----\n";
inline const std::string kMke2fs = "mke2fs -q -F -t ext4 -d tree";

}  // namespace ashlar
