// PreadReader: runs read with pread by the threads that call next(), each outside any lock. For regular
// files, and for block devices where io_uring is refused.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "source/run_feed.h"

namespace ashlar {

// What a reader needs of the opened source; shared with the source, so either may go first.
struct OpenFile {
  UniqueFd fd;
  std::string name;
  ByteCount size;  // when it was opened
  // Its size now; used to tell a source that shrank or vanished from one with bad sectors.
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

// The error for a source that is now smaller than it was when it was opened; ok when it is not.
Status check_not_shrunk(const OpenFile& file);

}  // namespace ashlar
