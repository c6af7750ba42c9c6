#include "simulated/simulated_file_system.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "simulated/simulated_disk.h"
#include "simulated/simulated_random_file.h"

namespace ashlar {

namespace {

using Disk = std::shared_ptr<SimulatedDisk>;
using Node = SimulatedNode::Ref;
using Space = SimulatedDisk::Space;
using Guard = std::lock_guard<std::mutex>;

std::uint64_t size_of(const SimulatedNode& file) {
  return file.sectors ? file.sectors->size() : file.bytes.size();
}

class SimulatedReadableFile : public ReadableFile {
 public:
  SimulatedReadableFile(Disk disk, Node node)
      : disk_(std::move(disk)), node_(std::move(node)), epoch_(disk_->epoch) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    const Guard guard(disk_->mutex);
    TRY(disk_->alive(epoch_));
    if (node_->sectors) return node_->sectors->read(offset, out);
    if (offset >= node_->bytes.size()) return std::size_t{0};
    const ByteSpan from = ByteSpan(node_->bytes).subspan(offset);
    const std::size_t length = std::min(from.size(), out.size());
    if (length > 0) std::memcpy(out.data(), from.data(), length);
    return length;
  }

  Result<std::uint64_t> size() const override {
    const Guard guard(disk_->mutex);
    TRY(disk_->alive(epoch_));
    return size_of(*node_);
  }

 private:
  Disk disk_;
  Node node_;
  std::uint64_t epoch_;
};

class SimulatedWritableFile : public WritableFile {
 public:
  SimulatedWritableFile(Disk disk, Node node, std::string path)
      : disk_(std::move(disk)), node_(std::move(node)), path_(std::move(path)), epoch_(disk_->epoch) {}

  Status append(ByteSpan bytes) override {
    const Guard guard(disk_->mutex);
    TRY(usable());
    Status begun = disk_->begin(fmt::format("append {} bytes to {}", bytes.size(), path_), Space::kTakes);
    poisoned_ = !begun.ok();
    // Part of an append that fails, or that the power loss interrupts, may arrive.
    if (poisoned_) bytes = bytes.first(disk_->torn.below(bytes.size() + 1));
    node_->bytes.insert(node_->bytes.end(), bytes.begin(), bytes.end());
    return begun;
  }

  Status sync() override {
    const Guard guard(disk_->mutex);
    TRY(usable());
    Status begun = disk_->begin("sync " + path_, Space::kNeedsNone);
    poisoned_ = !begun.ok();
    if (!poisoned_) {
      node_->synced = node_->bytes.size();
    } else if (!disk_->stopped) {
      std::ranges::fill(MutableByteSpan(node_->bytes).subspan(node_->synced), std::byte{0});
    }
    return begun;
  }

 private:
  Status usable() const {
    TRY(disk_->alive(epoch_));
    if (!poisoned_) return {};
    return Error(ErrorCode::kIo, path_ + " failed before and takes nothing more");
  }

  Disk disk_;
  Node node_;
  std::string path_;
  std::uint64_t epoch_;
  bool poisoned_ = false;
};

class SimulatedFileLock : public FileLock {
 public:
  SimulatedFileLock(Disk disk, Node node)
      : disk_(std::move(disk)), node_(std::move(node)), epoch_(disk_->epoch) {}
  ~SimulatedFileLock() override {
    const Guard guard(disk_->mutex);
    if (epoch_ == disk_->epoch) node_->locked = false;
  }

 private:
  Disk disk_;
  Node node_;
  std::uint64_t epoch_;
};

// Returns whether `node` is `directory` or lies below it: a directory can't be moved below itself.
bool contains(const SimulatedNode& directory, const SimulatedNode& node) {
  if (&directory == &node) return true;
  return std::ranges::any_of(directory.entries, [&](const auto& entry) {
    return entry.second->is_directory && contains(*entry.second, node);
  });
}

// Returns the errno for moving `node` to the place `to`, or 0.
int rename_obstacle(const SimulatedNode& node, const SimulatedDisk::Place& to) {
  if (to.name.empty()) return EBUSY;
  if (node.is_directory && contains(node, *to.directory)) return EINVAL;
  if (!to.node) return 0;
  if (to.node->is_directory && !node.is_directory) return EISDIR;
  if (!to.node->is_directory && node.is_directory) return ENOTDIR;
  return to.node->entries.empty() ? 0 : ENOTEMPTY;
}

}  // namespace

SimulatedFileSystem::SimulatedFileSystem() : disk_(std::make_shared<SimulatedDisk>()) {}
SimulatedFileSystem::SimulatedFileSystem(std::shared_ptr<SimulatedDisk> disk) : disk_(std::move(disk)) {}
SimulatedFileSystem::~SimulatedFileSystem() = default;

Result<std::unique_ptr<ReadableFile>> SimulatedFileSystem::open(const std::string& path, ReadMode) {
  const Guard guard(disk_->mutex);
  TRY(disk_->alive(disk_->epoch));
  Node node = TRY(disk_->existing(path).with_context("open"));
  if (node->is_directory) return Error::from_errno(EISDIR, "open " + path);
  return std::unique_ptr<ReadableFile>(std::make_unique<SimulatedReadableFile>(disk_, std::move(node)));
}

Result<std::unique_ptr<WritableFile>> SimulatedFileSystem::create(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->begin("create " + path, Space::kTakes));
  const auto place = TRY(disk_->resolve(path).with_context("create"));
  if (place.node) return Error::from_errno(EEXIST, "create " + path);
  Node node = disk_->new_node(false);
  place.directory->set(place.name, node);
  return std::unique_ptr<WritableFile>(std::make_unique<SimulatedWritableFile>(disk_, std::move(node), path));
}

Result<std::unique_ptr<RandomFile>> SimulatedFileSystem::create_random(const std::string& path,
                                                                       std::uint64_t bytes) {
  const Guard guard(disk_->mutex);
  TRY(disk_->begin("create " + path, Space::kTakes));
  const auto place = TRY(disk_->resolve(path).with_context("create"));
  if (place.node) return Error::from_errno(EEXIST, "create " + path);
  Node node = disk_->new_node(false);
  node->sectors = std::make_unique<SimulatedSectors>(0);
  if (bytes > 0) node->sectors->resize(bytes);
  place.directory->set(place.name, node);
  return open_simulated_random(disk_, std::move(node), path);
}

Result<std::unique_ptr<RandomFile>> SimulatedFileSystem::open_random(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->alive(disk_->epoch));
  Node node = TRY(disk_->existing(path).with_context("open"));
  if (!node->sectors) return Error::from_errno(EINVAL, "open " + path + ": it grows at its end only");
  return open_simulated_random(disk_, std::move(node), path);
}

Status SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
  const Guard guard(disk_->mutex);
  const std::string what = fmt::format("rename {} to {}", from, to);
  TRY(disk_->begin(what, Space::kTakes));
  const auto source = TRY(disk_->resolve(from).with_context(what));
  const auto target = TRY(disk_->resolve(to).with_context(what));
  if (!source.node) return Error::from_errno(ENOENT, what);
  if (source.name.empty()) return Error::from_errno(EBUSY, what);
  if (source.node == target.node) return {};
  if (const int obstacle = rename_obstacle(*source.node, target); obstacle != 0) {
    return Error::from_errno(obstacle, what);
  }
  target.directory->set(target.name, source.node);
  source.directory->set(source.name, nullptr);
  return {};
}

Status SimulatedFileSystem::link(const std::string& from, const std::string& to) {
  const Guard guard(disk_->mutex);
  const std::string what = fmt::format("link {} to {}", from, to);
  TRY(disk_->begin(what, Space::kTakes));
  const auto source = TRY(disk_->resolve(from).with_context(what));
  const auto target = TRY(disk_->resolve(to).with_context(what));
  if (!source.node) return Error::from_errno(ENOENT, what);
  if (target.node) return Error::from_errno(EEXIST, what);
  if (source.node->is_directory) return Error::from_errno(EPERM, what);
  target.directory->set(target.name, source.node);
  return {};
}

Status SimulatedFileSystem::remove(const std::string& path) {
  const Guard guard(disk_->mutex);
  const std::string what = "remove " + path;
  TRY(disk_->begin(what, Space::kNeedsNone));
  const auto place = TRY(disk_->resolve(path).with_context("remove"));
  if (!place.node) return Error::from_errno(ENOENT, what);
  if (place.name.empty()) return Error::from_errno(EBUSY, what);
  if (!place.node->entries.empty()) return Error::from_errno(ENOTEMPTY, what);
  place.directory->set(place.name, nullptr);
  return {};
}

Status SimulatedFileSystem::make_directory(const std::string& path) {
  const Guard guard(disk_->mutex);
  const auto place = TRY(disk_->resolve(path).with_context("make directory"));
  if (place.node && place.node->is_directory) return disk_->alive(disk_->epoch);
  TRY(disk_->begin("make directory " + path, Space::kTakes));
  if (place.node) return invalid(path + " is a file, not a directory");
  place.directory->set(place.name, disk_->new_node(true));
  return {};
}

Status SimulatedFileSystem::sync_directory(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->begin("sync directory " + path, Space::kNeedsNone));
  const Node node = TRY(disk_->existing(path).with_context("sync directory"));
  if (!node->is_directory) return Error::from_errno(ENOTDIR, "sync directory " + path);
  node->durable = node->entries;
  node->history.clear();
  return {};
}

Result<std::vector<DirectoryEntry>> SimulatedFileSystem::list(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->alive(disk_->epoch));
  const Node node = TRY(disk_->existing(path).with_context("list"));
  if (!node->is_directory) return Error::from_errno(ENOTDIR, "list " + path);
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, child] : node->entries) entries.push_back({name, child->is_directory});
  return entries;
}

Result<std::uint64_t> SimulatedFileSystem::file_size(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->alive(disk_->epoch));
  const Node node = TRY(disk_->existing(path).with_context("size of"));
  if (node->is_directory) return Error::from_errno(EISDIR, "size of " + path);
  return size_of(*node);
}

Result<FilePlace> SimulatedFileSystem::place_of(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->alive(disk_->epoch));
  const Node node = TRY(disk_->existing(path).with_context("place of"));
  return FilePlace{"simulated", node->inode};
}

Result<std::unique_ptr<FileLock>> SimulatedFileSystem::lock(const std::string& path) {
  const Guard guard(disk_->mutex);
  TRY(disk_->alive(disk_->epoch));
  auto place = TRY(disk_->resolve(path).with_context("lock"));
  if (!place.node) {
    TRY(disk_->begin("make lock file " + path, Space::kTakes));
    place.node = disk_->new_node(false);
    place.directory->set(place.name, place.node);
  }
  if (place.node->is_directory) return Error::from_errno(EISDIR, "lock " + path);
  if (place.node->locked) return busy(path + " is locked by another process");
  place.node->locked = true;
  return std::unique_ptr<FileLock>(std::make_unique<SimulatedFileLock>(disk_, place.node));
}

std::uint64_t SimulatedFileSystem::operations() const {
  const Guard guard(disk_->mutex);
  return disk_->trace.size();
}

std::vector<std::string> SimulatedFileSystem::trace() const {
  const Guard guard(disk_->mutex);
  return disk_->trace;
}

void SimulatedFileSystem::fail_operation(std::uint64_t number, int error_number) {
  const Guard guard(disk_->mutex);
  disk_->failures[number] = error_number;
}

void SimulatedFileSystem::stop_at(std::uint64_t number) {
  const Guard guard(disk_->mutex);
  disk_->stop_at = number;
}

void SimulatedFileSystem::set_full(bool full) {
  const Guard guard(disk_->mutex);
  disk_->full = full;
}

void SimulatedFileSystem::crash(std::uint64_t seed) {
  const Guard guard(disk_->mutex);
  disk_->crash(seed);
}

void SimulatedFileSystem::record() {
  const Guard guard(disk_->mutex);
  disk_->first_recorded = disk_->trace.size();
  disk_->recorded.clear();
}

std::unique_ptr<SimulatedFileSystem> SimulatedFileSystem::before(std::uint64_t number) const {
  const Guard guard(disk_->mutex);
  const bool is_now = number == disk_->trace.size();
  const SimulatedDisk& then = is_now ? *disk_ : *disk_->recorded.at(number - disk_->first_recorded.value());
  return std::unique_ptr<SimulatedFileSystem>(new SimulatedFileSystem(then.copy()));
}

void SimulatedFileSystem::become(const SimulatedFileSystem& other) {
  const auto twin = other.before(other.operations());
  const Guard guard(disk_->mutex);
  disk_->root = twin->disk_->root;
  disk_->next_inode = std::max(disk_->next_inode, twin->disk_->next_inode);
}

}  // namespace ashlar
