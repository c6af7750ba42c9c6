// FailingReads: a file system of which one read, chosen by its number, fails with an errno.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "io/file_system.h"

namespace ashlar {

class FailingReads : public FileSystem {
 public:
  // Reads are numbered from 0: each opening of a file, and each range that is read.
  FailingReads(FileSystem& inner, int at, int error_number)
      : inner_(inner), left_(at), errno_(error_number) {}
  bool failed() const { return left_ < 0; }

  Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) override {
    TRY(step(path));
    return std::unique_ptr<ReadableFile>(std::make_unique<File>(*this, path, TRY(inner_.open(path, mode))));
  }
  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    return inner_.create(path);
  }
  Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) override {
    return inner_.create_random(path, bytes);
  }
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    return inner_.open_random(path);
  }
  Status rename(const std::string& from, const std::string& to) override { return inner_.rename(from, to); }
  Status link(const std::string& from, const std::string& to) override { return inner_.link(from, to); }
  Status remove(const std::string& path) override { return inner_.remove(path); }
  Status make_directory(const std::string& path) override { return inner_.make_directory(path); }
  Status sync_directory(const std::string& path) override { return inner_.sync_directory(path); }
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override { return inner_.list(path); }
  Result<std::uint64_t> file_size(const std::string& path) override { return inner_.file_size(path); }
  Result<FilePlace> place_of(const std::string& path) override { return inner_.place_of(path); }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override { return inner_.lock(path); }

 private:
  class File : public ReadableFile {
   public:
    File(FailingReads& files, std::string path, std::unique_ptr<ReadableFile> inner)
        : files_(files), path_(std::move(path)), inner_(std::move(inner)) {}
    Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
      TRY(files_.step(path_));
      return inner_->read_at(offset, out);
    }
    Result<std::uint64_t> size() const override { return inner_->size(); }

   private:
    FailingReads& files_;
    const std::string path_;
    const std::unique_ptr<ReadableFile> inner_;
  };

  Status step(const std::string& path) {
    if (left_-- != 0) return {};
    return Error::from_errno(errno_, "read " + path);
  }

  FileSystem& inner_;
  std::atomic<int> left_;
  const int errno_;
};

}  // namespace ashlar
