// SegmentPipeline: turns sealed segments into published packs. Several threads encode; one thread appends, in
// the order in which the segments were sealed. Internal to the module.
//
// push() waits while kInFlight segments are being processed: that bounds memory. flush() returns once
// everything pushed before it is in a published pack. An error of any thread goes to FirstError and ends all
// waiting calls.
//
// One thread calls push() and flush().
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/bounded_queue.h"
#include "base/first_error.h"
#include "store/admission.h"
#include "store/pack_appender.h"

namespace ashlar {

class SegmentPipeline {
 public:
  static constexpr std::size_t kInFlight = 12;  // each 4 MiB of raw blocks plus their compressed form

  SegmentPipeline(PackAppender& appender, std::uint32_t frame_blocks, int level, unsigned threads,
                  FirstError& errors, std::atomic<std::uint64_t>& stored_bytes);
  ~SegmentPipeline();
  SegmentPipeline(const SegmentPipeline&) = delete;
  SegmentPipeline& operator=(const SegmentPipeline&) = delete;

  Status push(SealedSegment segment);
  Status flush();
  // Makes all threads and waiting calls stop. For the callbacks of FirstError; any thread.
  void cancel();

 private:
  void encode_loop();
  void append_loop();
  bool publish_is_due() const;

  PackAppender& appender_;
  std::uint32_t frame_blocks_;
  int level_;
  FirstError& errors_;
  std::atomic<std::uint64_t>& stored_bytes_;
  BoundedQueue<SealedSegment> sealed_{kInFlight};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, EncodedSegment> encoded_;
  std::uint64_t pushed_ = 0;
  std::uint64_t appended_ = 0;
  std::uint64_t published_ = 0;      // number of segments in published packs
  std::uint64_t publish_until_ = 0;  // flush() waits until this many are published
  bool stopping_ = false;

  std::vector<std::jthread> encoders_;
  std::jthread appender_thread_;
};

}  // namespace ashlar
