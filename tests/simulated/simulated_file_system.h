// SimulatedFileSystem: a whole FileSystem in memory that forgets what was not synced and fails where told.
//
// The simulation keeps the durability contract of file_system.h and promises nothing more. After crash():
//
// clang-format off
//   * the bytes of a file up to its last sync() are there. Of later appends any part may be there: cut at any
//     byte, with some sectors as zeros or garbage;
//   * each sector of a RandomFile is in any of the states that it had since the last sync(), independent of
//     the other sectors, and so is the size;
//   * names as of the last sync_directory() of their directory are there. Each name that changed since then
//     is in any of the states that it had, independent of the others (so a rename may lose both names);
//   * handles and locks from before the crash fail, like those of a dead process.
// clang-format on
//
// A failed sync loses the bytes that it was to save: they read as zeros, and no later sync brings them back.
//
// Every call that changes something is one operation: create, append, write_at, zero, allocate, resize, sync,
// rename, link, remove, make_directory, sync_directory, and a lock() that creates its file. Operations are
// numbered from 0. So a test can run a flow once to count them, and then once for each operation with a power
// loss before it:
//
//   for (n = 0; n < total; ++n) {
//     SimulatedFileSystem files;
//     files.stop_at(n);
//     run(files);
//     files.crash(seed);
//     check(files);
//   }
//
// record() and before() give the same states without running the flow again for each of them.
//
// Any thread may call anything. Paths may be absolute or relative; "/" exists from the start.
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
  // Two seeds whose crashes are the same for every disk. Other seeds choose separately for each byte range
  // and name.
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
  Result<bool> is_shared_by_hosts(const std::string& /*path*/) override { return is_shared_; }
  // Makes this the file system of a network from now on.
  void set_shared() { is_shared_ = true; }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;

  // Returns the number of operations so far, which is also the number of the next one.
  std::uint64_t operations() const;
  // Returns the operations so far, in order: "sync /packs/1f".
  std::vector<std::string> trace() const;

  // Makes operation `number` fail with this errno, once. A failing append or write may leave a part of its
  // bytes.
  void fail_operation(std::uint64_t number, int error_number);
  // Stops the machine before operation `number`: neither it nor any later call, reading included, has an
  // effect until crash().
  void stop_at(std::uint64_t number);
  // While the disk is full, create, append, link, rename, resize, make_directory and a lock() that creates
  // its file fail with ENOSPC, and so do writes and reservations of pages that have no space yet. Reading and
  // removing still work.
  void set_full(bool full);
  // Cuts the power and turns it on again. Faults that were set and did not happen yet are forgotten.
  void crash(std::uint64_t seed);

  // Keeps the disk as it is before each operation from this one on.
  void record();
  // Returns a disk of its own, as this one was before operation `number`: one since record(), or
  // operations(). Its operations are counted from 0, and no file of it is open or locked.
  std::unique_ptr<SimulatedFileSystem> before(std::uint64_t number) const;
  // Takes the contents of another disk in place of its own. Open files stay those of the old contents.
  void become(const SimulatedFileSystem& other);

 private:
  explicit SimulatedFileSystem(std::shared_ptr<SimulatedDisk> disk);

  std::shared_ptr<SimulatedDisk> disk_;
  bool is_shared_ = false;
};

}  // namespace ashlar
