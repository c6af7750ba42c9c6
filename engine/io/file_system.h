// FileSystem: the only interface through which the engine touches files and directories.
//
// PosixFileSystem is the real one. SimulatedFileSystem keeps everything in memory, forgets unsynced data when
// told to crash, and fails where told. Whole flows run on either.
//
// Durability contract (rule 1 of the architecture builds on it):
//   * a file's bytes are durable after WritableFile::sync() returned ok;
//   * a file's bytes and size are durable after a RandomFile::sync() that began after the change returned ok;
//   * a name (created, renamed, removed) is durable after sync_directory() of its directory returned ok.
// Before those calls a crash may keep or lose each change, in any order.
//
// All calls may be made from any thread. A WritableFile is used by one thread at a time, a RandomFile by any
// number.
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
  kDirect,  // past the page cache, so that the bytes come from the medium (verify)
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

// A file that grows at its end only. Its first failure poisons it: every later call returns an error.
class WritableFile {
 public:
  WritableFile() = default;
  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;
  virtual ~WritableFile() = default;
  virtual Status append(ByteSpan bytes) = 0;
  virtual Status sync() = 0;
};

// The space of a zeroed range: given back, or kept for later writes to that range.
enum class ZeroSpace : unsigned char { kFree, kKeep };

// A file that is read and written at any place within its size. Overlapping calls at the same time are a
// mistake of the caller: such a read may see parts of both. The first failed sync poisons the file: what was
// written before may be lost, every later change or sync is an error, and reads still work.
class RandomFile {
 public:
  RandomFile() = default;
  RandomFile(const RandomFile&) = delete;
  RandomFile& operator=(const RandomFile&) = delete;
  virtual ~RandomFile() = default;
  // Reads until `out` is full or the file ends; returns the bytes read.
  virtual Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const = 0;
  // Writes all of `bytes`, which must lie within size() (kInvalid otherwise). A write that fails may have
  // changed any part of the range.
  virtual Status write_at(std::uint64_t offset, ByteSpan bytes) = 0;
  // Makes the range read as zeros; it must lie within size(). Like write_at, a failure may have changed a
  // part.
  virtual Status zero(std::uint64_t offset, std::uint64_t bytes, ZeroSpace space) = 0;
  // Reserves space, so that later writes to the range don't fail for lack of it. Changes no bytes. Returns ok
  // without a promise when the medium can't reserve.
  virtual Status allocate(std::uint64_t offset, std::uint64_t bytes) = 0;
  // Sets the size. Bytes that are added read as zeros.
  virtual Status resize(std::uint64_t bytes) = 0;
  virtual Status sync() = 0;
  virtual Result<std::uint64_t> size() const = 0;
};

// An advisory lock, held until this object is destroyed or the process dies.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  virtual ~FileLock() = default;
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;  // a directory, or a link to one
  bool is_link = false;       // a symbolic link
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
  // Creates an empty file. Fails with EEXIST (in error_number()) when the name is taken.
  virtual Result<std::unique_ptr<WritableFile>> create(const std::string& path) = 0;
  // Creates a file of `bytes` bytes that is one hole. Fails with EEXIST when the name is taken.
  virtual Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) = 0;
  // Opens a file that create_random() made.
  virtual Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  // Gives a file a second name. Fails with EEXIST when `to` is taken. Together with remove(from) it is a
  // rename that never replaces.
  virtual Status link(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& path) = 0;          // a file or an empty directory
  virtual Status make_directory(const std::string& path) = 0;  // EEXIST is not an error
  virtual Status sync_directory(const std::string& path) = 0;
  // Returns the entries sorted by name. Returns kNotFound when the directory does not exist.
  virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;
  virtual Result<std::uint64_t> file_size(const std::string& path) = 0;
  virtual Result<FilePlace> place_of(const std::string& path) = 0;
  // Returns whether other hosts may have the file system of `path` mounted at the same time.
  virtual Result<bool> is_shared_by_hosts(const std::string& /*path*/) { return false; }
  // Takes an advisory lock on a file, which is created when missing and must not be a symbolic link. Returns
  // kBusy when the lock is held elsewhere.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;
};

// Returns the file system of this host. It lives as long as the process.
FileSystem& posix_file_system();

// Removes a file; returns ok when there is none.
Status remove_if_there(FileSystem& files, const std::string& path);

// Reads a whole file of at most `limit` bytes. Returns kCorrupt when it is larger.
Result<ByteVector> read_file(FileSystem& files, const std::string& path, std::uint64_t limit);

}  // namespace ashlar
