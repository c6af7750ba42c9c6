#include "io/local_object_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "base/random.h"
#include "io/object_key.h"

namespace ashlar {

namespace {

constexpr std::string_view kIncoming = "incoming";
constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kChangeLock = "changes.lock";
constexpr auto kLockRetry = std::chrono::milliseconds(2);
constexpr int kLockTries = 5000;

// Incoming names are "<owner>-<number>". The owner is 16 hex digits, for which one living store holds a lock.
constexpr std::size_t kOwnerDigits = 16;

bool is_owner(std::string_view text) {
  return text.size() == kOwnerDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

// The state is shared with the writers, which may outlive the store object.
struct LocalObjectStore::State {
  State(FileSystem& file_system, std::string directory) : files(file_system), root(std::move(directory)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  std::string path(std::string_view key) const { return fmt::format("{}/{}", root, key); }
  Status check_key(std::string_view key) const;
  Status make_parents(std::string_view key);
  Result<std::string> new_incoming();
  Status own_incoming();
  Status sync_folder_of(const std::string& path, Lasts lasts);
  Result<std::unique_ptr<FileLock>> lock_changes();
  Result<std::string> write_incoming(ByteSpan bytes);
  Status publish(const std::string& incoming, std::string_view key, Lasts lasts);
  void forget(const std::string& incoming);
  Result<std::vector<std::string>> children(const std::string& folder) const;
  Status clear_owner(const std::string& owner, const std::vector<std::string>& names);

  FileSystem& files;
  const std::string root;
  std::mutex mutex;  // guards the members below
  std::set<std::string, std::less<>> durable_folders;
  std::string owner;
  std::unique_ptr<FileLock> owner_lock;
  std::uint64_t incoming_count = 0;
};

LocalObjectStore::State::~State() {
  if (owner_lock) forget(path(fmt::format("{}/{}{}", kIncoming, owner, kLockSuffix)));
}

Status LocalObjectStore::State::check_key(std::string_view key) const {
  TRY(check_object_key(key));
  if (key.substr(0, key.find('/')) == kIncoming) {
    return invalid(
        fmt::format("\"{}\" is not an object key: {}/ is for files in the making", key, kIncoming));
  }
  return {};
}

// Creates the folders of a key. A folder that another process made may not be durable yet, so each store
// syncs the parents once by itself.
Status LocalObjectStore::State::make_parents(std::string_view key) {
  std::string parent = root;
  for (std::size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1)) {
    const std::string_view folder = key.substr(0, slash);
    {
      const std::lock_guard guard(mutex);
      if (durable_folders.contains(folder)) {
        parent = path(folder);
        continue;
      }
    }
    TRY(files.make_directory(path(folder)));
    TRY(files.sync_directory(parent));
    parent = path(folder);
    const std::lock_guard guard(mutex);
    durable_folders.emplace(folder);
  }
  return {};
}

// Takes the lock of a new owner; called with the mutex held. A fresh random name is busy in one case only:
// clear_incoming() of another store holds its lock at this moment. Another name is then tried.
Status LocalObjectStore::State::own_incoming() {
  if (owner_lock) return {};
  TRY(files.make_directory(path(kIncoming)));
  for (;;) {
    std::string name = fmt::format("{:016x}", random_u64());
    auto lock = files.lock(path(fmt::format("{}/{}{}", kIncoming, name, kLockSuffix)));
    if (is(lock, ErrorCode::kBusy)) continue;
    owner_lock = TRY(std::move(lock));
    owner = std::move(name);
    break;
  }
  // The file of the change lock is made here, while there is room: a removal from a full disk must not need
  // space.
  auto changes = files.lock(path(fmt::format("{}/{}", kIncoming, kChangeLock)));
  if (!changes.ok() && changes.error().code() != ErrorCode::kBusy) return changes.take_error();
  return {};
}

Result<std::string> LocalObjectStore::State::new_incoming() {
  const std::lock_guard guard(mutex);
  TRY(own_incoming());
  return path(fmt::format("{}/{}-{}", kIncoming, owner, incoming_count++));
}

// Takes the lock that is held while a name is checked and changed, so that replace and remove of all
// processes take turns.
Result<std::unique_ptr<FileLock>> LocalObjectStore::State::lock_changes() {
  TRY(files.make_directory(path(kIncoming)));
  const std::string name = path(fmt::format("{}/{}", kIncoming, kChangeLock));
  for (int tries = 1;; ++tries) {
    auto lock = files.lock(name);
    if (lock.ok() || lock.error().code() != ErrorCode::kBusy) return lock;
    // kBusy would say that the object was changed: nothing is known of it.
    if (tries == kLockTries)
      return Error(ErrorCode::kIo, fmt::format("waited 10 s for another program that changes the store: {}",
                                               lock.error().text()));
    std::this_thread::sleep_for(kLockRetry);
  }
}

Result<std::string> LocalObjectStore::State::write_incoming(ByteSpan bytes) {
  std::string incoming = TRY(new_incoming());
  auto write = [&]() -> Status {
    const auto file = TRY(files.create(incoming));
    TRY(file->append(bytes));
    return file->sync();
  };
  if (Status written = write(); !written.ok()) {
    forget(incoming);
    return written.take_error();
  }
  return incoming;
}

// Links a synced file to its key. When the sync of the directory fails the name stays: others may have seen
// the object, whose bytes are complete, and only a crash can remove the name.
Status LocalObjectStore::State::publish(const std::string& incoming, std::string_view key, Lasts lasts) {
  TRY(make_parents(key));
  const std::string name = path(key);
  if (Status linked = files.link(incoming, name); !linked.ok()) {
    if (linked.error().error_number() == EEXIST) return busy(fmt::format("object {} exists", name));
    return linked;
  }
  return sync_folder_of(name, lasts);
}

Status LocalObjectStore::State::sync_folder_of(const std::string& path, Lasts lasts) {
  if (lasts == Lasts::kWhilePowered) return {};
  return files.sync_directory(path.substr(0, path.rfind('/')));
}

// Removes an incoming file. What can't be removed here is left to clear_incoming().
void LocalObjectStore::State::forget(const std::string& incoming) {
  const Status removed = files.remove(incoming);
  best_effort(removed);
}

namespace {

// Turns the errors of a file system into those of objects: a folder is not an object, and an object has
// nothing below it.
Error as_object_error(Error error) {
  if (error.error_number() != EISDIR && error.error_number() != ENOTDIR) return error;
  return not_found(error.text());
}

class LocalObjectReader : public ObjectReader {
 public:
  LocalObjectReader(std::unique_ptr<ReadableFile> file, std::string path, std::uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}

  Status read_at(std::uint64_t offset, MutableByteSpan out) const override {
    const std::size_t read = TRY(file_->read_at(offset, out));
    if (read == out.size()) return {};
    return corrupt(
        fmt::format("{} ends at byte {}, wanted {} bytes at {}", path_, offset + read, out.size(), offset));
  }
  std::uint64_t size() const override { return size_; }

 private:
  std::unique_ptr<ReadableFile> file_;
  std::string path_;
  std::uint64_t size_;
};

}  // namespace

class LocalObjectStore::Writer : public ObjectWriter {
 public:
  Writer(std::shared_ptr<State> state, std::string key, std::string incoming,
         std::unique_ptr<WritableFile> file)
      : state_(std::move(state)),
        key_(std::move(key)),
        incoming_(std::move(incoming)),
        file_(std::move(file)) {}
  ~Writer() override {
    file_.reset();
    state_->forget(incoming_);
  }

  Status append(ByteSpan bytes) override {
    if (finished_) return invalid(fmt::format("append to {} after finish", key_));
    return file_->append(bytes);
  }

  Status finish() override {
    if (finished_) return invalid(fmt::format("finish {} twice", key_));
    finished_ = true;
    TRY(file_->sync());
    return state_->publish(incoming_, key_, Lasts::kForEver);
  }

 private:
  std::shared_ptr<State> state_;
  std::string key_;
  std::string incoming_;
  std::unique_ptr<WritableFile> file_;
  bool finished_ = false;
};

LocalObjectStore::LocalObjectStore(FileSystem& files, std::string root)
    : state_(std::make_shared<State>(files, std::move(root))) {}
LocalObjectStore::~LocalObjectStore() = default;

Result<std::unique_ptr<ObjectWriter>> LocalObjectStore::create(std::string_view key) {
  TRY(state_->check_key(key));
  std::string incoming = TRY(state_->new_incoming());
  auto file = TRY(state_->files.create(incoming));
  return std::unique_ptr<ObjectWriter>(
      std::make_unique<Writer>(state_, std::string(key), std::move(incoming), std::move(file)));
}

Result<std::shared_ptr<ObjectReader>> LocalObjectStore::open(std::string_view key, ReadMode mode) {
  TRY(state_->check_key(key));
  const std::string path = state_->path(key);
  auto opened = state_->files.open(path, mode);
  if (!opened.ok()) return as_object_error(opened.take_error());
  auto file = opened.take();
  const std::uint64_t size = TRY(file->size());
  return std::shared_ptr<ObjectReader>(std::make_shared<LocalObjectReader>(std::move(file), path, size));
}

Result<ObjectInfo> LocalObjectStore::stat(std::string_view key) {
  TRY(state_->check_key(key));
  auto size = state_->files.file_size(state_->path(key));
  if (!size.ok()) return as_object_error(size.take_error());
  return ObjectInfo{std::string(key), size.value()};
}

// A file is synced before it gets its name, so after a crash only the name can be missing.
Status LocalObjectStore::ensure_durable(std::span<const std::string> keys) {
  std::set<std::string> folders;
  for (const std::string& key : keys) {
    if (key.ends_with('/')) {
      TRY(state_->check_key(key.substr(0, key.size() - 1)));
    } else {
      TRY(stat(key));
      TRY(state_->make_parents(key));
    }
    folders.insert(state_->path(key.substr(0, key.rfind('/'))));
  }
  for (const std::string& folder : folders) {
    Status synced = state_->files.sync_directory(folder);
    if (!synced.ok() && !is(synced, ErrorCode::kNotFound)) return synced;
  }
  return {};
}

// Returns the objects and folders ("name/") of a folder, largest key first. A folder sorts with its '/', so
// "a.b" comes before "a/b".
Result<std::vector<std::string>> LocalObjectStore::State::children(const std::string& folder) const {
  auto entries = files.list(path(folder));
  std::vector<std::string> keys;
  if (is(entries, ErrorCode::kNotFound)) return keys;
  for (const DirectoryEntry& entry : TRY(std::move(entries))) {
    if (!is_key_part(entry.name) || (folder.empty() && entry.name == kIncoming)) continue;
    keys.push_back(folder + entry.name + (entry.is_directory ? "/" : ""));
  }
  std::ranges::sort(keys, std::greater<>());
  return keys;
}

// Walks the folders with a stack whose top is the smallest key. A file that disappears during the walk was
// removed by another caller and is skipped.
Status LocalObjectStore::list(std::string_view prefix,
                              const std::function<Status(const ObjectInfo&)>& visit) {
  if (!prefix.empty()) {
    if (prefix.back() != '/')
      return invalid(fmt::format("\"{}\" is not a folder: no '/' at its end", prefix));
    TRY(state_->check_key(prefix.substr(0, prefix.size() - 1)));
  }
  std::vector<std::string> pending = TRY(state_->children(std::string(prefix)));
  while (!pending.empty()) {
    const std::string key = std::move(pending.back());
    pending.pop_back();
    if (key.back() == '/') {
      std::ranges::move(TRY(state_->children(key)), std::back_inserter(pending));
      continue;
    }
    auto size = state_->files.file_size(state_->path(key));
    if (is(size, ErrorCode::kNotFound)) continue;
    TRY(visit({key, size.ok() ? size.value() : kUnknownSize}));
  }
  return {};
}

Status LocalObjectStore::remove(std::string_view key, Lasts lasts) {
  TRY(state_->check_key(key));
  const auto lock = TRY(state_->lock_changes());
  const std::string path = state_->path(key);
  TRY(state_->files.remove(path));
  return state_->sync_folder_of(path, lasts);
}

Status LocalObjectStore::put_if_absent(std::string_view key, ByteSpan bytes, Lasts lasts) {
  TRY(state_->check_key(key));
  const std::string incoming = TRY(state_->write_incoming(bytes));
  Status published = state_->publish(incoming, key, lasts);
  state_->forget(incoming);
  return published;
}

Status LocalObjectStore::replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) {
  TRY(state_->check_key(key));
  const auto lock = TRY(state_->lock_changes());
  const std::string path = state_->path(key);
  const auto changed = [&] { return busy(fmt::format("object {} was changed by another program", path)); };
  if (TRY(state_->files.file_size(path)) != expected.size()) return changed();
  const ByteVector current = TRY(read_file(state_->files, path, expected.size()));
  if (!bytes_equal(current, expected)) return changed();
  const std::string incoming = TRY(state_->write_incoming(bytes));
  if (Status renamed = state_->files.rename(incoming, path); !renamed.ok()) {
    state_->forget(incoming);
    return renamed;
  }
  return state_->sync_folder_of(path, lasts);
}

// Removes the files of an owner whose lock is free; the lock file goes last.
Status LocalObjectStore::State::clear_owner(const std::string& dead, const std::vector<std::string>& names) {
  const std::string lock_path = path(fmt::format("{}/{}{}", kIncoming, dead, kLockSuffix));
  auto lock = files.lock(lock_path);
  if (is(lock, ErrorCode::kBusy)) return {};
  const auto held = TRY(std::move(lock));
  for (const std::string& name : names) {
    if (!name.starts_with(dead + "-")) continue;
    Status removed = files.remove(path(fmt::format("{}/{}", kIncoming, name)));
    if (!removed.ok() && removed.error().code() != ErrorCode::kNotFound) return removed;
  }
  return files.remove(lock_path);
}

Status LocalObjectStore::clear_incoming() {
  auto entries = state_->files.list(state_->path(kIncoming));
  if (is(entries, ErrorCode::kNotFound)) return {};
  std::set<std::string> owners;
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : TRY(std::move(entries))) {
    const std::string_view owner = std::string_view(entry.name).substr(0, kOwnerDigits);
    if (entry.is_directory || !is_owner(owner)) continue;
    owners.emplace(owner);
    names.push_back(entry.name);
  }
  for (const std::string& owner : owners) TRY(state_->clear_owner(owner, names));
  return {};
}

Result<bool> LocalObjectStore::needs_one_host() { return state_->files.is_shared_by_hosts(state_->root); }

}  // namespace ashlar
