#include "index/index_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>

#include "index/table_tail.h"

namespace ashlar {
namespace {

constexpr std::string_view kLockName = "ashlar.lock";
// A writer may remove files after a reader has read their list and before it opens them.
constexpr int kViewAttempts = 5;
constexpr std::chrono::milliseconds kViewPause{5};
constexpr std::chrono::milliseconds kLockPause{5};
constexpr std::size_t kMaxCurrentBytes = 64;

// Returns whether RocksDB makes files of this name. Other files in the directory are never removed.
bool is_index_file(std::string_view name) {
  constexpr std::array<std::string_view, 4> kNames = {"CURRENT", "IDENTITY", "LOCK", "LOG"};
  constexpr std::array<std::string_view, 4> kStarts = {"MANIFEST-", "OPTIONS-", "LOG.old.", "CURRENT."};
  constexpr std::array<std::string_view, 4> kEnds = {".sst", ".log", ".dbtmp", ".blob"};
  return std::ranges::any_of(kNames, [&](std::string_view known) { return name == known; }) ||
         std::ranges::any_of(kStarts, [&](std::string_view known) { return name.starts_with(known); }) ||
         std::ranges::any_of(kEnds, [&](std::string_view known) { return name.ends_with(known); });
}

// Removes files in the making of a process that was killed: RocksDB never removes an "OPTIONS-000010.dbtmp".
void remove_unfinished(const std::string& path) {
  auto& files = posix_file_system();
  const auto entries = files.list(path);
  if (!entries.ok()) return;
  for (const DirectoryEntry& entry : entries.value()) {
    if (!entry.is_directory && entry.name.ends_with(".dbtmp"))
      best_effort(remove_if_there(files, path + "/" + entry.name));
  }
}

}  // namespace

Result<std::unique_ptr<FileLock>> IndexDirectory::lock(std::chrono::milliseconds wait) const {
  auto& files = posix_file_system();
  TRY(files.make_directory(path_).with_context("index"));
  const auto end = std::chrono::steady_clock::now() + wait;
  while (true) {
    auto lock = files.lock(path_ + "/" + std::string(kLockName));
    if (!is(lock, ErrorCode::kBusy)) return std::move(lock).with_context("index");
    if (std::chrono::steady_clock::now() >= end) return busy("index: another process writes it");
    std::this_thread::sleep_for(kLockPause);
  }
}

bool IndexDirectory::safe_to_open() const {
  const auto entries = posix_file_system().list(path_);
  if (!entries.ok()) return true;
  return std::ranges::all_of(entries.value(), [&](const DirectoryEntry& entry) {
    return !entry.name.ends_with(".sst") || table_is_safe_to_open(path_ + "/" + entry.name);
  });
}

// Each opening for writing starts a new manifest, whose name CURRENT holds; each flush makes it longer.
std::string IndexDirectory::stamp() const {
  auto& files = posix_file_system();
  const auto current = files.open(path_ + "/CURRENT", ReadMode::kCached);
  if (is(current, ErrorCode::kNotFound)) return {};
  if (!current.ok()) return "unreadable";
  std::array<std::byte, kMaxCurrentBytes> bytes{};
  const auto read = current.value()->read_at(0, bytes);
  std::string manifest(as_text(ByteSpan(bytes).first(read.ok() ? read.value() : 0)));
  while (manifest.ends_with('\n')) manifest.pop_back();
  const bool is_name = manifest.starts_with("MANIFEST-") && manifest.find('/') == std::string::npos;
  const auto size = is_name ? files.file_size(path_ + "/" + manifest) : Result<std::uint64_t>(0);
  return fmt::format("{} {}", manifest, size.ok() ? size.value() : 0);
}

Result<IndexView> IndexDirectory::view() const {
  for (int attempt = 1;; ++attempt) {
    IndexView view;
    view.stamp = stamp();
    if (view.stamp.empty()) return view;
    auto opened = safe_to_open() ? Database::open(path_, Database::Mode::kRead, format_)
                                 : corrupt("index: a table that is not safe to open");
    if (opened.ok()) {
      view.database = opened.take();
      return view;
    }
    if (opened.error().code() != ErrorCode::kCorrupt || attempt == kViewAttempts) return opened.take_error();
    std::this_thread::sleep_for(kViewPause);
  }
}

Status IndexDirectory::write_locked(const IndexBatch& batch) const {
  if (!safe_to_open()) return corrupt("index: a table that is not safe to open");
  remove_unfinished(path_);
  const auto database = TRY(Database::open(path_, Database::Mode::kWrite, format_));
  for (const auto& rows : batch.added) {
    if (!TRY(database->find_pack(rows->pack))) TRY(database->add(*rows));
  }
  for (const PackId& pack : batch.gone) {
    if (const auto row = TRY(database->find_pack(pack))) TRY(database->forget(pack, *row));
  }
  TRY(database->flush());
  database->settle();
  return {};
}

Result<IndexView> IndexDirectory::write(const IndexBatch& batch, std::chrono::milliseconds wait) const {
  const auto locked = TRY(lock(wait));
  const Status written = write_locked(batch);
  if (is(written, ErrorCode::kCorrupt)) {
    TRY(remove_files());
    TRY(write_locked(batch));
  } else {
    TRY(written);
  }
  return view();  // while no other process removes files
}

Result<IndexView> IndexDirectory::renew(const std::string& damaged) const {
  const auto locked = TRY(lock(kLockWait));
  auto present = view();
  if (!present.ok() && present.error().code() != ErrorCode::kCorrupt) return present;
  const auto* database = present.ok() ? present.value().database.get() : nullptr;
  if (database != nullptr && database->identity() != damaged) return present;
  present = IndexView();  // closes the files
  TRY(remove_files());
  return present;
}

Status IndexDirectory::clear() const {
  const auto locked = TRY(lock(kLockWait));
  return remove_files();
}

Status IndexDirectory::remove_files() const {
  auto& files = posix_file_system();
  for (const DirectoryEntry& entry : TRY(files.list(path_))) {
    if (entry.is_directory || !is_index_file(entry.name)) continue;
    TRY(remove_if_there(files, path_ + "/" + entry.name).with_context("index"));
  }
  return {};
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
