// SimulatedDisk: the state of a SimulatedFileSystem, which is its nodes, what of them is durable, and the
// faults that are set.
//
// These classes do not lock: the caller holds SimulatedDisk::mutex while it uses any other member.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "simulated/simulated_sectors.h"

namespace ashlar {

// A file or a directory. `bytes` and `entries` are what programs see at the moment.
struct SimulatedNode {
  using Ref = std::shared_ptr<SimulatedNode>;

  bool is_directory = false;
  bool locked = false;
  std::uint64_t inode = 0;

  ByteVector bytes;
  std::size_t synced = 0;                     // number of leading `bytes` that are durable
  std::unique_ptr<SimulatedSectors> sectors;  // replaces `bytes` in files that are written at any place

  std::map<std::string, Ref> entries;
  std::map<std::string, Ref> durable;
  // For each name that changed since the last sync, what it led to after each change; nullptr: removed.
  std::map<std::string, std::vector<Ref>> history;

  // Returns nullptr when the directory has no such name.
  Ref find(const std::string& name) const;
  // Makes `name` lead to `node`; nullptr removes the name.
  void set(const std::string& name, Ref node);
};

class SimulatedDisk {
 public:
  using Ref = SimulatedNode::Ref;

  // The place that a path leads to: its directory, its last name and the node of that name, which may be
  // nullptr. For "/" the directory is the root and the name is empty.
  struct Place {
    Ref directory;
    std::string name;
    Ref node;
  };
  enum class Space : unsigned char { kTakes, kNeedsNone };

  SimulatedDisk();

  Ref new_node(bool is_directory);
  Result<Place> resolve(const std::string& path) const;
  Result<Ref> existing(const std::string& path) const;

  // Counts an operation and returns the fault that was set for it, or ENOSPC when the disk is full and the
  // operation takes space. `what` is its entry in the trace.
  Status begin(std::string what, Space space);
  // Returns an error when the machine has stopped, or has crashed since `epoch`.
  Status alive(std::uint64_t epoch) const;
  void crash(std::uint64_t seed);
  // Returns a disk with the same contents and the same unsynced changes. It has no locks, no faults and an
  // empty trace.
  std::shared_ptr<SimulatedDisk> copy() const;

  std::mutex mutex;
  Ref root;
  std::uint64_t epoch = 0;  // number of crashes
  std::vector<std::string> trace;
  std::map<std::uint64_t, int> failures;
  std::uint64_t stop_at;
  std::uint64_t next_inode = 1;
  // The disk before each operation since `first_recorded`; nothing while that has no value.
  std::optional<std::uint64_t> first_recorded;
  std::vector<std::shared_ptr<SimulatedDisk>> recorded;
  bool stopped = false;
  bool full = false;
  Prng torn{0x5eed};  // decides how much of a failed append arrives
};

}  // namespace ashlar
