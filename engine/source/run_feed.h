// RunFeed: the part that every RunReader shares. It asks the plan for requests, in order, and gives each one
// a buffer.
//
// A buffer is taken before the plan is asked, so a request that exists can always be read: a run that a
// consumer keeps holds up later runs, never earlier ones. Runs own their buffer through a shared_ptr that
// outlives the reader.
//
// The first error, the plan's or the reader's, ends the feed: every later call gets the same error, so it
// does not matter which thread of the consumer reports first.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "source/source.h"

namespace ashlar {

// A request and the buffer that it will fill.
struct RunTicket {
  RunRequest request;
  std::size_t slot = 0;       // the buffer's number, below RunReader::kRunBuffers
  std::byte* data = nullptr;  // room for kLeafBytes, aligned to 4096
  std::shared_ptr<void> buffer;
};

class RunFeed {
 public:
  // `size` bounds the requests; nothing for a stream.
  RunFeed(RunReader::Plan plan, std::optional<ByteCount> size);

  // Waits for a buffer. Nothing when the plan is through.
  Result<std::optional<RunTicket>> take();
  // Ends the feed with an error, and gives the error to be returned: an earlier one if there was one.
  Error stop(Error error);
  // Ends the feed as if the plan were through.
  void finish();

  // For readers that keep state of their own under the feed's lock. mutex() guards it, and changed() is
  // notified when a buffer comes back or the feed ends. The calls below want the lock held.
  std::mutex& mutex() { return pool_->mutex; }
  std::condition_variable& changed() { return pool_->changed; }
  // Does not wait: nothing also when no buffer is free.
  Result<std::optional<RunTicket>> take_locked();
  Error stop_locked(Error error);
  // The error that ended the feed, if one did.
  Status check_locked() const;
  bool ended() const { return ended_; }
  // All buffers, for registering them with the kernel. Makes those that do not exist yet.
  std::vector<MutableByteSpan> all_buffers();

 private:
  struct Pool {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<AlignedBuffer> buffers;
    std::vector<std::size_t> free;
  };
  static std::shared_ptr<void> lease(const std::shared_ptr<Pool>& pool, std::size_t slot);
  std::optional<std::size_t> free_slot();

  RunReader::Plan plan_;
  std::optional<ByteCount> size_;
  std::shared_ptr<Pool> pool_ = std::make_shared<Pool>();
  bool ended_ = false;
  std::optional<std::pair<ErrorCode, std::string>> failure_;
};

// Zeros what lies between the bytes read and the end of their last block, and makes the run.
Run finish_run(RunTicket ticket, ByteCount filled, std::vector<BlockRange> unreadable);

// Whether a failed read says that the medium lost the bytes there, and not that the machine, the connection
// or the whole device failed.
bool is_bad_medium(int error_number);

// Sorts block numbers and joins neighbours.
std::vector<BlockRange> merge_blocks(std::vector<Lba> blocks);

}  // namespace ashlar
