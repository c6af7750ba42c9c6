#include "index/index_directory.h"

#include <algorithm>
#include <array>

#include "index/table_tail.h"

namespace ashlar {
namespace {

constexpr std::string_view kLockName = "ashlar.lock";
// The writer may delete files after a reader has read the list of files and before it opens them.
constexpr int kReadAttempts = 3;

// Returns whether RocksDB makes files of this name. Other files in the directory are never removed.
bool is_index_file(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"CURRENT", "IDENTITY", "LOCK", "LOG"};
  constexpr std::array<std::string_view, 4> kStarts = {"MANIFEST-", "OPTIONS-", "LOG.old.", "CURRENT."};
  constexpr std::array<std::string_view, 4> kEnds = {".sst", ".log", ".dbtmp", ".blob"};
  return std::ranges::any_of(kNames, [&](std::string_view known) { return name == known; }) ||
         std::ranges::any_of(kStarts, [&](std::string_view known) { return name.starts_with(known); }) ||
         std::ranges::any_of(kEnds, [&](std::string_view known) { return name.ends_with(known); });
}

}  // namespace

bool IndexDirectory::try_lock() {
  if (lock_ != nullptr) return true;
  auto& files = posix_file_system();
  locking_ = files.make_directory(path_);
  if (!locking_.ok()) return false;
  auto lock = files.lock(path_ + "/" + std::string(kLockName));
  locking_ = lock.ok() ? Status() : lock.take_error();
  if (locking_.ok()) lock_ = lock.take();
  return lock_ != nullptr;
}

Error IndexDirectory::why_not_writable() const {
  if (locking_.ok()) return Error(ErrorCode::kIo, "index: it can't be opened for writing");
  const Error& error = locking_.error();
  if (error.code() == ErrorCode::kBusy) return busy("index: another process writes it");
  return Error(error.code(), "index: it can't be written: " + error.text());
}

bool IndexDirectory::safe_to_open() const {
  const auto entries = posix_file_system().list(path_);
  if (!entries.ok()) return true;
  return std::ranges::all_of(entries.value(), [&](const DirectoryEntry& entry) {
    return !entry.name.ends_with(".sst") || table_is_safe_to_open(path_ + "/" + entry.name);
  });
}

std::unique_ptr<Database> IndexDirectory::open_to_read() {
  if (!safe_to_open()) return nullptr;
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    auto opened = Database::open(path_, Database::Mode::kRead);
    if (opened.ok()) return opened.take();
  }
  return nullptr;
}

std::unique_ptr<Database> IndexDirectory::open() {
  if (!try_lock()) return open_to_read();
  if (!safe_to_open()) return remake();
  auto opened = Database::open(path_, Database::Mode::kWrite);
  if (opened.ok()) return opened.take();
  if (opened.error().code() != ErrorCode::kCorrupt) return open_to_read();
  return remake();
}

std::unique_ptr<Database> IndexDirectory::remake() {
  if (!try_lock()) return open_to_read();
  if (!remove_files()) return nullptr;
  auto opened = Database::open(path_, Database::Mode::kWrite);
  return opened.ok() ? opened.take() : nullptr;
}

bool IndexDirectory::remove_files() {
  auto& files = posix_file_system();
  auto entries = files.list(path_);
  if (!entries.ok()) return false;
  bool removed = true;
  for (const DirectoryEntry& entry : entries.value()) {
    if (entry.is_directory || !is_index_file(entry.name)) continue;
    removed = files.remove(path_ + "/" + entry.name).ok() && removed;
  }
  return removed;
}

std::uint64_t IndexDirectory::bytes() const {
  auto& files = posix_file_system();
  const auto entries = files.list(path_);
  if (!entries.ok()) return 0;
  std::uint64_t sum = 0;
  for (const DirectoryEntry& entry : entries.value()) {
    const auto size = files.file_size(path_ + "/" + entry.name);
    if (size.ok()) sum += size.value();
  }
  return sum;
}

}  // namespace ashlar
