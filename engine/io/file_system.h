// FileSystem: the one narrow seam through which the engine touches files and directories.
//
// PosixFileSystem is the real one; SimulatedFileSystem keeps everything in memory, forgets what was not
// synced when told to crash, and fails where told. Whole flows run on either.
//
// Durability contract (what rule 1 of the architecture builds on):
//   * a file's bytes are durable after WritableFile::sync() returned ok;
//   * a name (created, renamed, removed) is durable after sync_directory() of its directory returned ok.
// Nothing else is promised: before those calls a crash may keep or lose either, in any order.
//
// All calls may be made from any thread; one WritableFile is used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace ashlar {

enum class ReadMode : unsigned char {
  kCached,  // through the page cache
  kDirect,  // past the page cache, so that what is on the medium is what is read (verify)
};

class ReadableFile {
 public:
  ReadableFile() = default;
  ReadableFile(const ReadableFile&) = delete;
  ReadableFile& operator=(const ReadableFile&) = delete;
  virtual ~ReadableFile() = default;
  // Reads at `offset` until `out` is full or the file ends; returns the bytes read.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const = 0;
  virtual Result<std::uint64_t> size() const = 0;
};

// Grows at its end only. Its first failure poisons it: every later call returns an error.
class WritableFile {
 public:
  WritableFile() = default;
  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;
  virtual ~WritableFile() = default;
  virtual Status append(ByteSpan bytes) = 0;
  virtual Status sync() = 0;
};

// Held until destroyed, or until the process dies.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  virtual ~FileLock() = default;
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  friend bool operator==(const DirectoryEntry&, const DirectoryEntry&) = default;
};

class FileSystem {
 public:
  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) = 0;
  // A new, empty file; EEXIST (in error_number()) when the name is taken.
  virtual Result<std::unique_ptr<WritableFile>> create(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  // A second name for a file; EEXIST when `to` is taken. With remove(from): a rename that never replaces.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;          // a file or an empty directory
  virtual Status make_directory(const std::string& path) = 0;  // EEXIST is not an error
  virtual Status sync_directory(const std::string& path) = 0;
  // Sorted by name. kNotFound when there is no such directory.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;
  virtual Result<std::uint64_t> file_size(const std::string& path) = 0;
  // Takes an advisory lock on a file, made when missing; kBusy when another holder has it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

// The file system of this machine. Lives as long as the process.
FileSystem& posix_file_system();

// Reads a whole file of at most `limit` bytes; kCorrupt when it is larger.
Result<ByteVector> read_file(FileSystem& files, const std::string& path, std::uint64_t limit);

}  // namespace ashlar
