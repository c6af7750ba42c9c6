// IndexDirectory: the directory of an index. It opens views of the database, writes batches to it and makes
// it anew. Internal to the module.
//
// A process holds the lock file while it writes a batch, and no longer: it takes the lock, opens the database
// for writing, writes, flushes, closes, and releases the lock. All look-ups go to views, which are opened
// read-only and show the state at the time of opening; a view stays readable while other processes write or
// remove the files. A process that is killed while it writes leaves the state before its batch.
//
// For one thread at a time: the Index locks around it. bytes() and stamp() may be called at any time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "index/database.h"
#include "io/file_system.h"

namespace ashlar {

// The time that a batch of another process may take. A process that waited longer keeps its rows.
inline constexpr std::chrono::seconds kLockWait{20};

// A state of the database.
struct IndexView {
  std::unique_ptr<Database> database;  // null when there is none
  std::string stamp;                   // IndexDirectory::stamp() before it was opened
};

// Rows to be written together.
struct IndexBatch {
  std::vector<std::shared_ptr<const PackRows>> added;
  std::vector<PackId> gone;
};

class IndexDirectory {
 public:
  // `format` names the encoding of the rows; a database of another format is damage.
  IndexDirectory(std::string path, std::string format) : path_(std::move(path)), format_(std::move(format)) {}

  // Returns a text that changes with each batch that a process writes; empty when there is no database.
  std::string stamp() const;
  // Opens the present state. Fails with kCorrupt when it is damaged, and with another error when the system
  // could not open it just now. Neither changes a file.
  Result<IndexView> view() const;
  // Writes the rows that the database lacks, removes those of packs that are gone, and returns a view that
  // shows the result. A missing database is created; a damaged one is removed and created. Waits for the
  // lock.
  Result<IndexView> write(const IndexBatch& batch, std::chrono::milliseconds wait = kLockWait) const;
  // Returns a view of a database other than the one with this identity, which is damaged: the one that
  // another process has made meanwhile, or none, after removing the files.
  Result<IndexView> renew(const std::string& damaged) const;
  // Removes the database.
  Status clear() const;
  // Returns the size of all files of the index.
  std::uint64_t bytes() const;

 private:
  Result<std::unique_ptr<FileLock>> lock(std::chrono::milliseconds wait) const;
  Status write_locked(const IndexBatch& batch) const;
  Status remove_files() const;
  bool safe_to_open() const;

  std::string path_;
  std::string format_;
};

}  // namespace ashlar
