// QueuedReader: reads runs with many requests in flight and without a thread of its own; the common part of
// io_uring and NBD. Internal to the module.
//
// A run is cut into parts; every thread in next() starts as many parts as there is room for. One of these
// threads drives: it waits for completions without the lock, while the others wait until it has recorded what
// arrived. A part that fails because of a bad medium is read again block by block, and the blocks that fail
// are the run's unreadable ones. While such a block is read, no other read is in flight: the block layer
// merges neighbouring requests, and they would fail together.
//
// A backend starts reads (submit, kick), waits (wait), and reports each read once, in any order (reap →
// finished). Its destructor ends the reads in flight before the buffers are freed.
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
    std::size_t slot = 0;  // number of the buffer that contains `data`
    ByteOffset offset;
    std::size_t bytes = 0;
    std::byte* data = nullptr;
    unsigned attempts = 0;
    bool alone = false;  // a block that is read again, alone, after a failure
  };
  struct Limits {
    std::size_t part_bytes;  // a multiple of 4096
    std::size_t depth;       // largest number of parts in flight
  };

  QueuedReader(std::string name, ByteCount size, Plan plan, Limits limits);

  // Starts a read. Called with the lock held. `id` is below Limits::depth, and free again after finished(id).
  virtual Status submit(std::size_t id, const Part& part) = 0;
  // Makes sure that submitted reads are on their way. Called with the lock held, after submits.
  virtual Status kick() = 0;
  // Returns when reads may have finished, possibly earlier. Called without the lock, by one thread at a time,
  // with parts in flight.
  virtual Status wait() = 0;
  // Calls finished() for each part that has finished. Called with the lock held while no thread is in wait().
  virtual Status reap() = 0;
  // Returns an error when the whole source is gone. Called after a block could not be read.
  virtual Status check_alive() { return {}; }

  // Records the result of a part: the bytes read, or an errno.
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
  std::deque<Part> waiting_;  // parts that are cut but not started
  bool alone_in_flight_ = false;
  std::vector<Part> parts_;  // indexed by id
  std::vector<std::size_t> free_ids_;
  std::deque<Run> done_;
  bool driven_ = false;
};

}  // namespace ashlar
