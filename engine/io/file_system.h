// FileSystem: the one narrow seam through which the engine touches files and directories.
//
// PosixFileSystem is the real one; SimulatedFileSystem keeps everything in memory, forgets what was not
// synced when told to crash, and fails where told. Whole flows run on either.
//
// Durability contract (what rule 1 of the architecture builds on):
//   * a file's bytes are durable after WritableFile::sync() returned ok;
//   * a file's bytes and size are durable after RandomFile::sync() that began behind the change returned ok;
//   * a name (created, renamed, removed) is durable after sync_directory() of its directory returned ok.
// Nothing else is promised: before those calls a crash may keep or lose either, in any order.
//
// All calls may be made from any thread; one WritableFile is used by one thread at a time, one RandomFile by
// any number.
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

// Whether space behind zeros is given back, or kept for what is written there next.
enum class ZeroSpace : unsigned char { kFree, kKeep };

// Read and written at any place within its size. Overlapping calls at the same time are the caller's mistake:
// such a read may see parts of both. The first failed sync poisons it: what was written before may be lost,
// every later change or sync is an error, and reads go on.
class RandomFile {
 public:
  RandomFile() = default;
  RandomFile(const RandomFile&) = delete;
  RandomFile& operator=(const RandomFile&) = delete;
  virtual ~RandomFile() = default;
  // Reads until `out` is full or the file ends; returns the bytes read.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const = 0;
  // All of `bytes`, which lie within size() (kInvalid otherwise). A failed write may have changed any part of
  // the range.
  virtual Status write_at(std::uint64_t offset, ByteSpan bytes) = 0;
  // The range, which lies within size(), reads as zeros. As with write_at, a failure may have done a part.
  virtual Status zero(std::uint64_t offset, std::uint64_t bytes, ZeroSpace space) = 0;
  // Reserves space: later writes to the range don't fail for want of it. No byte changes. Where the medium
  // can't reserve, ok, and nothing is promised.
  virtual Status allocate(std::uint64_t offset, std::uint64_t bytes) = 0;
  // New bytes are zeros.
  virtual Status resize(std::uint64_t bytes) = 0;
  virtual Status sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
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
  bool is_directory = false;  // or a link to one
  bool is_link = false;       // a symbolic one
  friend bool operator==(const DirectoryEntry&, const DirectoryEntry&) = default;
};

// Names a file or directory whatever its path: two places that are equal are one. A copy is another place.
struct FilePlace {
  std::string file_system;  // its UUID in hexadecimal, or another name that lasts as long as it does
  std::uint64_t inode = 0;
  friend bool operator==(const FilePlace&, const FilePlace&) = default;
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
  // A new file of `bytes` that is one hole; EEXIST when the name is taken.
  virtual Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) = 0;
  // One that create_random() made.
  virtual Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  // A second name for a file; EEXIST when `to` is taken. With remove(from): a rename that never replaces.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;          // a file or an empty directory
  virtual Status make_directory(const std::string& path) = 0;  // EEXIST is not an error
  virtual Status sync_directory(const std::string& path) = 0;
  // Sorted by name. kNotFound when there is no such directory.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;
  virtual Result<std::uint64_t> file_size(const std::string& path) = 0;
  virtual Result<FilePlace> place_of(const std::string& path) = 0;
  // Takes an advisory lock on a file, made when missing, that is no symbolic link; kBusy when another holder
  // has it.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

// The file system of this machine. Lives as long as the process.
FileSystem& posix_file_system();

// Removes a file; returns ok when there is none.
Status remove_if_there(FileSystem& files, const std::string& path);

// Reads a whole file of at most `limit` bytes; kCorrupt when it is larger.
Result<ByteVector> read_file(FileSystem& files, const std::string& path, std::uint64_t limit);

}  // namespace ashlar
