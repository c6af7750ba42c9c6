#include "simulated/simulated_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "simulated/simulated_file_system.h"

namespace ashlar {

namespace {

constexpr std::size_t kSectorBytes = 512;

// The decisions of one crash: which unsynced changes survive.
class Crash {
 public:
  explicit Crash(std::uint64_t seed) : seed_(seed), prng_(seed) {}

  void settle(SimulatedNode& node) {
    if (!settled_.insert(&node).second) return;
    if (node.is_directory) {
      settle_names(node);
    } else if (node.sectors) {
      node.sectors->crash([this](std::size_t changes) { return choose(changes); });
      node.locked = false;
    } else {
      settle_bytes(node);
    }
  }

 private:
  // Chooses one of the states that a name had; 0 is the durable one.
  std::size_t choose(std::size_t changes) {
    if (seed_ == SimulatedFileSystem::kLoseUnsynced) return 0;
    if (seed_ == SimulatedFileSystem::kKeepUnsynced) return changes;
    return prng_.below(changes + 1);
  }

  void settle_names(SimulatedNode& directory) {
    for (const auto& [name, states] : directory.history) {
      const std::size_t chosen = choose(states.size());
      if (chosen == 0) continue;
      if (states[chosen - 1]) {
        directory.durable[name] = states[chosen - 1];
      } else {
        directory.durable.erase(name);
      }
    }
    directory.history.clear();
    directory.entries = directory.durable;
    directory.locked = false;
    for (const auto& [name, node] : directory.entries) settle(*node);
  }

  void settle_bytes(SimulatedNode& file) {
    const std::size_t unsynced = file.bytes.size() - file.synced;
    file.bytes.resize(file.synced + kept_of(unsynced));
    if (is_random() && file.bytes.size() > file.synced)
      damage(MutableByteSpan(file.bytes).subspan(file.synced));
    file.synced = file.bytes.size();
    file.locked = false;
  }

  bool is_random() const {
    return seed_ != SimulatedFileSystem::kLoseUnsynced && seed_ != SimulatedFileSystem::kKeepUnsynced;
  }

  // Returns how many of the unsynced bytes the new size takes in.
  std::size_t kept_of(std::size_t unsynced) {
    if (seed_ == SimulatedFileSystem::kLoseUnsynced) return 0;
    if (seed_ == SimulatedFileSystem::kKeepUnsynced) return unsynced;
    const std::uint64_t fate = prng_.below(4);
    if (fate == 0) return 0;
    if (fate == 1) return unsynced;
    const std::size_t kept = prng_.below(unsynced + 1);
    return fate == 2 ? kept : kept - kept % kSectorBytes;
  }

  // Damages unsynced bytes: the medium may have the new size and not the bytes.
  void damage(MutableByteSpan tail) {
    const std::uint64_t fate = prng_.below(4);
    if (fate == 0) std::ranges::fill(tail, std::byte{0});
    if (fate == 1) damage_sectors(tail);
  }

  void damage_sectors(MutableByteSpan tail) {
    while (!tail.empty()) {
      const MutableByteSpan sector = tail.first(std::min(tail.size(), kSectorBytes));
      const std::uint64_t fate = prng_.below(4);
      if (fate == 0) std::ranges::fill(sector, std::byte{0});
      if (fate == 1) prng_.fill(sector);
      tail = tail.subspan(sector.size());
    }
  }

  std::uint64_t seed_;
  Prng prng_;
  std::set<const SimulatedNode*> settled_;
};

// Copies nodes; a node that several names lead to stays one.
class Copier {
 public:
  SimulatedNode::Ref copy(const SimulatedNode::Ref& node) {
    if (!node) return nullptr;
    const auto [at, is_new] = copies_.try_emplace(node.get());
    if (!is_new) return at->second;
    const auto made = at->second = std::make_shared<SimulatedNode>();
    made->is_directory = node->is_directory;
    made->inode = node->inode;
    made->bytes = node->bytes;
    made->synced = node->synced;
    if (node->sectors) made->sectors = std::make_unique<SimulatedSectors>(*node->sectors);
    for (const auto& [name, child] : node->entries) made->entries[name] = copy(child);
    for (const auto& [name, child] : node->durable) made->durable[name] = copy(child);
    for (const auto& [name, states] : node->history) {
      for (const SimulatedNode::Ref& state : states) made->history[name].push_back(copy(state));
    }
    return made;
  }

 private:
  std::map<const SimulatedNode*, SimulatedNode::Ref> copies_;
};

Error path_error(int error_number, const std::string& path) { return Error::from_errno(error_number, path); }

}  // namespace

SimulatedNode::Ref SimulatedNode::find(const std::string& name) const {
  const auto at = entries.find(name);
  return at == entries.end() ? nullptr : at->second;
}

void SimulatedNode::set(const std::string& name, Ref node) {
  history[name].push_back(node);
  if (node) {
    entries[name] = std::move(node);
  } else {
    entries.erase(name);
  }
}

SimulatedDisk::SimulatedDisk() : stop_at(std::numeric_limits<std::uint64_t>::max()) { root = new_node(true); }

SimulatedDisk::Ref SimulatedDisk::new_node(bool is_directory) {
  auto node = std::make_shared<SimulatedNode>();
  node->is_directory = is_directory;
  node->inode = next_inode++;
  return node;
}

std::shared_ptr<SimulatedDisk> SimulatedDisk::copy() const {
  auto made = std::make_shared<SimulatedDisk>();
  made->root = Copier().copy(root);
  made->next_inode = next_inode;
  made->full = full;
  return made;
}

Result<SimulatedDisk::Place> SimulatedDisk::resolve(const std::string& path) const {
  Place place{root, "", root};
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string part = path.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return path_error(EINVAL, path);
    if (!place.node) return path_error(ENOENT, path);
    if (!place.node->is_directory) return path_error(ENOTDIR, path);
    place = Place{place.node, part, place.node->find(part)};
  }
  return place;
}

Result<SimulatedDisk::Ref> SimulatedDisk::existing(const std::string& path) const {
  Place place = TRY(resolve(path));
  if (!place.node) return path_error(ENOENT, path);
  return place.node;
}

Status SimulatedDisk::begin(std::string what, Space space) {
  TRY(alive(epoch));
  const std::uint64_t number = trace.size();
  if (number >= stop_at) {
    stopped = true;
    return alive(epoch);
  }
  if (first_recorded) recorded.push_back(copy());
  trace.push_back(what);
  if (const auto failure = failures.find(number); failure != failures.end()) {
    const int error_number = failure->second;
    failures.erase(failure);
    return Error::from_errno(error_number, std::move(what));
  }
  if (full && space == Space::kTakes) return Error::from_errno(ENOSPC, std::move(what));
  return {};
}

Status SimulatedDisk::alive(std::uint64_t since) const {
  if (stopped) return Error(ErrorCode::kIo, "the simulated machine has stopped");
  if (since != epoch)
    return Error(ErrorCode::kIo, "the simulated machine crashed after this file was opened");
  return {};
}

void SimulatedDisk::crash(std::uint64_t seed) {
  ++epoch;
  stopped = false;
  stop_at = std::numeric_limits<std::uint64_t>::max();
  failures.clear();
  full = false;
  Crash(seed).settle(*root);
}

}  // namespace ashlar
