// The state behind SimulatedFileSystem: nodes, what of them is durable, and the faults to come.
//
// Nothing here locks: SimulatedDisk::mutex is held by whoever touches the rest.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/random.h"
#include "base/result.h"
#include "simulated/simulated_sectors.h"

namespace ashlar {

// A file or a directory. `bytes` and `entries` are what programs see now.
struct SimulatedNode {
  using Ref = std::shared_ptr<SimulatedNode>;

  bool is_directory = false;
  bool locked = false;

  ByteVector bytes;
  std::size_t synced = 0;                     // so many of `bytes` are durable
  std::unique_ptr<SimulatedSectors> sectors;  // instead of `bytes`, in files that are written at any place

  std::map<std::string, Ref> entries;
  std::map<std::string, Ref> durable;
  // What each name changed since the last sync led to after each change; null: nothing.
  std::map<std::string, std::vector<Ref>> history;

  // Null when there is no such name.
  Ref find(const std::string& name) const;
  // Null removes the name.
  void set(const std::string& name, Ref node);
};

class SimulatedDisk {
 public:
  using Ref = SimulatedNode::Ref;

  // Where a path leads: its directory, its last name and what that names now (maybe nothing). For "/" the
  // directory is the root and the name is empty.
  struct Place {
    Ref directory;
    std::string name;
    Ref node;
  };
  enum class Space : unsigned char { kTakes, kNeedsNone };

  SimulatedDisk();

  Result<Place> resolve(const std::string& path) const;
  Result<Ref> existing(const std::string& path) const;

  // Counts an operation and meets the fault that was set for it. `what` is its entry in the trace.
  Status begin(std::string what, Space space);
  // An error when the machine stopped, or crashed since `epoch`.
  Status alive(std::uint64_t epoch) const;
  void crash(std::uint64_t seed);

  std::mutex mutex;
  Ref root;
  std::uint64_t epoch = 0;  // counts crashes
  std::vector<std::string> trace;
  std::map<std::uint64_t, int> failures;
  std::uint64_t stop_at;
  bool stopped = false;
  bool full = false;
  Prng torn{0x5eed};  // how much of a failed append arrives
};

}  // namespace ashlar
