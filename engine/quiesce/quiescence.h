// Whether somebody writes to the sources of a capture, and holding all writers still at the same time.
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
  std::string path;  // as it was given
};

struct Consistencies {
  std::vector<Consistency> of_sources;  // in their order
  std::vector<std::string> unused;      // mount points that no source has to do with
};

// What copies of the sources will be when the file systems of `freeze` are frozen. kBusy when something else
// that can write to one of them is mounted or attached, unless `live`.
Result<Consistencies> check_quiescence(const std::vector<SourceUse>& sources,
                                       const std::vector<std::string>& freeze, bool live);

// Several file systems that are frozen at the same time. One that lies on another, over a loop device, is
// frozen before it and thawed after it: either way it is written to.
class Frozen {
 public:
  // `never` is a path that must not lie on one of them: the store. Before the first thread is started: a fork
  // stands by to thaw.
  static Result<Frozen> freeze(std::vector<std::string> mount_points, const std::string& never);
  Frozen(Frozen&&) = default;
  Frozen& operator=(Frozen&&) = delete;
  ~Frozen();

  bool is_empty() const { return file_systems_.empty(); }
  // All of them, whatever fails; the first error.
  Status thaw();

 private:
  Frozen() = default;
  std::vector<std::unique_ptr<FrozenFileSystem>> file_systems_;  // in the order in which they were frozen
};

}  // namespace ashlar
