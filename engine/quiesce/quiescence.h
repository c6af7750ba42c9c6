// Quiescence: finds out whether the sources of a capture may be written to, and stops all writers at the same
// time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "format/snapshot_record.h"
#include "quiesce/mounts.h"
#include "source/source.h"

namespace ashlar {

struct SourceUse {
  const Source* source = nullptr;
  std::string path;  // as the user gave it
};

struct Consistencies {
  std::vector<Consistency> of_sources;  // an entry per source, in the order given
  std::vector<std::string> unused;      // mount points that no source depends on
};

// Returns the consistency that copies of the sources will have while the file systems of `freeze` are frozen.
// Fails with kBusy when another file system or device through which a source can be written to is mounted or
// attached, unless `live`.
Result<Consistencies> check_quiescence(const std::vector<SourceUse>& sources,
                                       const std::vector<std::string>& freeze, bool live);

// Several file systems, frozen at the same time. A file system that lies on another one, over a loop device,
// is frozen before it and thawed after it, because both freezing and thawing write to it.
class Frozen {
 public:
  // Freezes them. `never` is a path that must not lie on one of them (the store). Forks a guardian for each;
  // other threads may run, because a guardian makes async-signal-safe calls only.
  static Result<Frozen> freeze(std::vector<std::string> mount_points, const std::string& never);
  Frozen(Frozen&&) = default;
  Frozen& operator=(Frozen&&) = delete;
  ~Frozen();

  bool is_empty() const { return file_systems_.empty(); }
  // Thaws all of them, even after an error, and returns the first error.
  Status thaw();

 private:
  Frozen() = default;
  std::vector<std::unique_ptr<FrozenFileSystem>> file_systems_;  // in the order in which they were frozen
};

}  // namespace ashlar
