// Sealed segments to published packs: encoded by several threads, appended by one, in the order they were
// sealed.
//
// push() waits while kInFlight segments are on their way: the memory bound. flush() returns once everything
// pushed before it is in a published pack. An error of any thread goes to FirstError and unblocks everybody.
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
  static constexpr std::size_t kInFlight = 12;  // × 4 MiB raw, and what they compress to

  SegmentPipeline(PackAppender& appender, std::uint32_t frame_blocks, int level, unsigned threads,
                  FirstError& errors, std::atomic<std::uint64_t>& stored_bytes);
  ~SegmentPipeline();
  SegmentPipeline(const SegmentPipeline&) = delete;
  SegmentPipeline& operator=(const SegmentPipeline&) = delete;

  Status push(SealedSegment segment);
  Status flush();
  // Wakes everybody up to stop. For FirstError's callbacks; any thread.
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
  std::uint64_t published_ = 0;      // segments in published packs
  std::uint64_t publish_until_ = 0;  // flush() wants this many published
  bool stopping_ = false;

  std::vector<std::jthread> encoders_;
  std::jthread appender_thread_;
};

}  // namespace ashlar
