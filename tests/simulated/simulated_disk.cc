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
    std::size_t kept = unsynced;
    if (seed_ == SimulatedFileSystem::kLoseUnsynced) kept = 0;
    const bool random =
        seed_ != SimulatedFileSystem::kLoseUnsynced && seed_ != SimulatedFileSystem::kKeepUnsynced;
    if (random && prng_.below(3) != 0) kept = prng_.below(unsynced + 1);
    file.bytes.resize(file.synced + kept);
    if (random && prng_.below(2) == 0) damage_sectors(MutableByteSpan(file.bytes).subspan(file.synced));
    file.synced = file.bytes.size();
    file.locked = false;
  }

  // Damages sectors of the tail: the medium may have the new size and not the bytes.
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

SimulatedDisk::SimulatedDisk()
    : root(std::make_shared<SimulatedNode>()), stop_at(std::numeric_limits<std::uint64_t>::max()) {
  root->is_directory = true;
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
