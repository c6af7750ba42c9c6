// IndexDirectory: the directory of an index. It decides who may write, opens the database and creates it
// again. Internal to the module.
//
// A single process at a time holds the lock file and writes. A failure here is not an error of the caller: an
// index without a database still answers from memory, and only takes longer to open.
//
// For one thread at a time: the Index locks around it.
#pragma once

#include <memory>
#include <string>

#include "index/database.h"
#include "io/file_system.h"

namespace ashlar {

class IndexDirectory {
 public:
  explicit IndexDirectory(std::string path) : path_(std::move(path)) {}

  // Opens the database for writing, or read-only while another process writes. A database that is damaged or
  // of another format is removed and created again, unless another process is its writer. Returns nullptr
  // when the database can't be opened in any way.
  std::unique_ptr<Database> open();
  // Does the same for a database that turned out to be damaged. The caller has closed the old one.
  std::unique_ptr<Database> remake();
  // Returns why open() gave no writable database: kBusy when another process holds the lock, otherwise the
  // error of taking the lock (such as a read-only file system).
  Error why_not_writable() const;
  // Returns the size of all files of the index.
  std::uint64_t bytes() const;

 private:
  bool try_lock();
  bool remove_files();
  bool safe_to_open() const;
  std::unique_ptr<Database> open_to_read();

  std::string path_;
  std::unique_ptr<FileLock> lock_;
  Status locking_;  // the result of the last try to lock
};

}  // namespace ashlar
