// SimulatedFileSystem: a whole FileSystem in memory that forgets what was not synced and fails where told.
//
// It holds itself to the durability contract of file_system.h and promises nothing beyond it. After crash():
//   * bytes of a file up to its last sync() are there; behind them any part of the later appends may be, torn
//   at any
//     byte, single sectors of it zeros or garbage;
//   * each sector of a RandomFile is in any of the states that it had since the last sync(), whatever became
//   of the
//     others, and so is its size;
//   * a name as of the last sync_directory() of its directory is there; each name changed since is found in
//   any of the
//     states that it had, whatever became of the others (so a rename may lose both names);
//   * handles and locks from before fail, as those of a dead process.
// A failed sync loses the bytes that it was to save: they read as zeros, and no later sync brings them back.
//
// Every call that changes something is one operation: create, append, write_at, zero, allocate, resize, sync,
// rename, link, remove, make_directory, sync_directory, and a lock() that makes its file. They are numbered
// from 0, so a test can run a flow once, and then again with the power lost before each operation:
//
//   for (n = 0; n < total; ++n) { SimulatedFileSystem files; files.stop_at(n); run(files); files.crash(seed);
//   check }
//
// Any thread may call anything. Paths are absolute or not, "/" is there from the start.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/file_system.h"

namespace ashlar {

class SimulatedDisk;

class SimulatedFileSystem : public FileSystem {
 public:
  // Two crashes that are the same for every disk; other seeds choose for each byte range and name.
  static constexpr std::uint64_t kLoseUnsynced = 0;
  static constexpr std::uint64_t kKeepUnsynced = 1;

  SimulatedFileSystem();
  ~SimulatedFileSystem() override;

  Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) override;
  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override;
  Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) override;
  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status remove(const std::string& path) override;
  Status make_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<std::vector<DirectoryEntry>> list(const std::string& path) override;
  Result<std::uint64_t> file_size(const std::string& path) override;
  Result<FilePlace> place_of(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

  // How many operations were begun: also the number of the next one.
  std::uint64_t operations() const;
  // What they were, in order: "sync /packs/1f".
  std::vector<std::string> trace() const;

  // Operation `number` fails with this errno, once. A failing append or write may leave a part of its bytes.
  void fail_operation(std::uint64_t number, int error_number);
  // Operation `number` does not happen, and nothing else does, reading included, until crash().
  void stop_at(std::uint64_t number);
  // While full, create, append, link, rename and make_directory fail with ENOSPC, and so do writes to pages
  // that have no space yet; reading and removing go on.
  void set_full(bool full);
  // The power goes, and comes back. Faults that were set and did not happen yet are forgotten.
  void crash(std::uint64_t seed);

 private:
  std::shared_ptr<SimulatedDisk> disk_;
};

}  // namespace ashlar
