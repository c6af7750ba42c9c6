// RunFeed: the part that all RunReaders share. It asks the plan for requests, in order, and gives each
// request a buffer.
//
// A buffer is taken before the plan is asked, so a request that exists can always be read: a run that a
// consumer keeps can delay later runs, never earlier ones. Runs own their buffer through a shared_ptr that
// may outlive the reader.
//
// The first error, of the plan or of the reader, ends the feed: every later call returns the same error, so
// it does not matter which of the consumer's threads reports first.
#pragma once

#include <chrono>
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
  std::size_t slot = 0;       // number of the buffer, below RunReader::kRunBuffers
  std::byte* data = nullptr;  // room for kLeafBytes, aligned to 4096
  std::shared_ptr<void> buffer;
};

class RunFeed {
 public:
  // Creates a feed. `size` bounds the requests; no value for a stream.
  RunFeed(RunReader::Plan plan, std::optional<ByteCount> size);

  // The time after which a plan that had no request yet is asked again.
  static constexpr std::chrono::milliseconds kPlanPause{2};

  // Waits for a buffer and a request and returns both. Returns no value when the plan is complete.
  Result<std::optional<RunTicket>> take();
  // Ends the feed with an error and returns the error to report: an earlier one if there was one.
  Error stop(Error error);
  // Ends the feed as if the plan were complete.
  void finish();

  // For readers that guard state of their own with the feed's lock, which is mutex(). changed() is notified
  // when a buffer is returned or the feed ends. The calls below need the lock held.
  std::mutex& mutex() { return pool_->mutex; }
  std::condition_variable& changed() { return pool_->changed; }
  // Returns the next request without waiting; no value when the plan is complete or has none yet, or when no
  // buffer is free.
  Result<std::optional<RunTicket>> take_locked();
  Error stop_locked(Error error);
  // Returns the error that ended the feed, if one did.
  Status check_locked() const;
  bool ended() const { return ended_; }
  // Returns all buffers, for registering them with the kernel; allocates those that do not exist yet.
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

// Makes the run, with zeros between the last byte read and the end of its block.
Run finish_run(RunTicket ticket, ByteCount filled, std::vector<BlockRange> unreadable);

// Returns whether a failed read means that the medium lost these bytes, and not that the machine, the
// connection or the whole device failed.
bool is_bad_medium(int error_number);

// Sorts block numbers and joins adjacent ones.
std::vector<BlockRange> merge_blocks(std::vector<Lba> blocks);

}  // namespace ashlar
