// The directory of an index: who may write it, opening it, and making it anew.
//
// One process at a time holds the lock file and writes. No failure here is an error: an index without a
// database still answers, from memory, and only takes longer to open.
//
// One thread.
#pragma once

#include <memory>
#include <string>

#include "index/database.h"
#include "io/file_system.h"

namespace ashlar {

class IndexDirectory {
 public:
  explicit IndexDirectory(std::string path) : path_(std::move(path)) {}

  // Opens the database to write, or beside another process to read. One that is damaged or of another format
  // is removed and made anew, unless another process writes it. Null when there is no way.
  std::unique_ptr<Database> open();
  // The same for a database that turned out to be damaged. The old one has been closed.
  std::unique_ptr<Database> remake();
  // Why open() gave nothing that can be written: kBusy when another process holds the lock, else what kept us
  // from taking it (a read-only file system).
  Error why_not_writable() const;
  // Of all index files.
  std::uint64_t bytes() const;

 private:
  bool try_lock();
  bool remove_files();
  bool safe_to_open() const;
  std::unique_ptr<Database> open_to_read();

  std::string path_;
  std::unique_ptr<FileLock> lock_;
  Status locking_;  // what came of the last try
};

}  // namespace ashlar
