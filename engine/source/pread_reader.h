// PreadReader: reads runs with pread in the threads that call next(), outside any lock. For regular files,
// and for block devices where io_uring is refused. Internal to the module.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "source/run_feed.h"

namespace ashlar {

// The parts of an opened source that a reader needs. Source and reader share it, so either may be destroyed
// first.
struct OpenFile {
  UniqueFd fd;
  std::string name;
  ByteCount size;  // its size when it was opened
  // Returns its present size; used to distinguish a source that shrank or vanished from one with bad sectors.
  std::function<Result<ByteCount>()> size_now;
};

class PreadReader : public RunReader {
 public:
  PreadReader(std::shared_ptr<const OpenFile> file, Plan plan);
  Result<std::optional<Run>> next() override;

 private:
  Result<Run> fill(RunTicket ticket) const;

  std::shared_ptr<const OpenFile> file_;
  RunFeed feed_;
};

// Returns an error when the source is smaller than it was when it was opened, else ok.
Status check_not_shrunk(const OpenFile& file);

}  // namespace ashlar
