// QueuedReader: runs read with many requests in flight and no thread of its own. What io_uring and NBD share.
//
// A run is cut into parts; every thread in next() starts as many as there is room for. One of the threads
// drives: it waits for completions without the lock, while the others wait for it to share out what came. A
// part that fails for a bad medium is read again block by block, and the blocks that fail are the run's
// unreadable ones. Such a block is the only read in flight: the block layer merges neighbours, and they would
// fail as one.
//
// A backend starts reads (submit, kick), waits (wait), and reports each one once, in any order (reap →
// finished). Its destructor ends the reads in flight before the buffers go.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "source/run_feed.h"

namespace ashlar {

class QueuedReader : public RunReader {
 public:
  Result<std::optional<Run>> next() final;

 protected:
  struct Part {
    std::size_t slot = 0;  // the buffer that `data` lies in
    ByteOffset offset;
    std::size_t bytes = 0;
    std::byte* data = nullptr;
    unsigned attempts = 0;
    bool alone = false;  // a block after a failure
  };
  struct Limits {
    std::size_t part_bytes;  // a multiple of 4096
    std::size_t depth;       // parts in flight
  };

  QueuedReader(std::string name, ByteCount size, Plan plan, Limits limits);

  // With the lock held. `id` is below Limits::depth and free again once finished() has it.
  virtual Status submit(std::size_t id, const Part& part) = 0;
  // With the lock held, after submits: makes sure that they are on their way.
  virtual Status kick() = 0;
  // Without the lock, one thread at a time, with parts in flight. Returns when some may have finished, or at
  // whim.
  virtual Status wait() = 0;
  // With the lock held and nobody in wait(): calls finished() for each part that has.
  virtual Status reap() = 0;
  // After a block could not be read: an error when the whole source is gone.
  virtual Status check_alive() { return {}; }

  // The part's outcome: bytes read, or an errno.
  Status finished(std::size_t id, int error_number, std::size_t bytes);
  const Part& part(std::size_t id) const { return parts_[id]; }
  RunFeed& feed() { return feed_; }

 private:
  struct ActiveRun {
    RunTicket ticket;
    std::size_t bytes_left = 0;
    std::vector<Lba> lost;
  };

  Status advance();
  Status start_parts();
  bool may_start() const;
  std::size_t in_flight() const { return limits_.depth - free_ids_.size(); }
  void add_run(RunTicket ticket);
  void split_into_blocks(const Part& part);
  Status retry(Part part, int error_number);
  Status lose_block(const Part& part);
  void part_done(const Part& part);
  Status drive(std::unique_lock<std::mutex>& lock);

  std::string name_;
  Limits limits_;
  RunFeed feed_;
  std::array<std::optional<ActiveRun>, kRunBuffers> active_;
  std::size_t active_count_ = 0;
  std::deque<Part> waiting_;  // cut, not started
  bool alone_in_flight_ = false;
  std::vector<Part> parts_;  // by id
  std::vector<std::size_t> free_ids_;
  std::deque<Run> done_;
  bool driven_ = false;
};

}  // namespace ashlar
