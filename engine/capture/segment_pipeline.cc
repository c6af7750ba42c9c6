#include "capture/segment_pipeline.h"

#include "base/threads.h"

namespace ashlar {

SegmentPipeline::SegmentPipeline(PackAppender& appender, std::uint32_t frame_blocks, int level,
                                 unsigned threads, FirstError& errors,
                                 std::atomic<std::uint64_t>& stored_bytes)
    : appender_(appender),
      frame_blocks_(frame_blocks),
      level_(level),
      errors_(errors),
      stored_bytes_(stored_bytes) {
  for (unsigned i = 0; i < threads; ++i) encoders_.push_back(start_thread([this] { encode_loop(); }));
  appender_thread_ = start_thread([this] { append_loop(); });
}

SegmentPipeline::~SegmentPipeline() { cancel(); }

Status SegmentPipeline::push(SealedSegment segment) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopping_ || pushed_ - appended_ < kInFlight; });
    if (stopping_) return cancelled();
    ++pushed_;
  }
  return sealed_.push(std::move(segment)) ? Status() : cancelled();
}

Status SegmentPipeline::flush() {
  std::unique_lock lock(mutex_);
  publish_until_ = pushed_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return stopping_ || published_ >= publish_until_; });
  return published_ >= publish_until_ ? Status() : cancelled();
}

void SegmentPipeline::cancel() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  sealed_.cancel();
  changed_.notify_all();
}

void SegmentPipeline::encode_loop() {
  FrameEncoder encoder(level_);
  while (auto segment = sealed_.pop()) {
    const std::uint64_t ordinal = segment->ordinal;
    auto encoded = encode_segment(*segment, frame_blocks_, encoder);
    segment.reset();
    if (!encoded.ok()) return errors_.report(encoded.take_error());
    const std::lock_guard lock(mutex_);
    encoded_.emplace(ordinal, encoded.take());
    changed_.notify_all();
  }
}

void SegmentPipeline::append_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopping_ || publish_is_due() || encoded_.contains(appended_); });
    if (stopping_) return;
    std::optional<EncodedSegment> segment;
    if (const auto next = encoded_.find(appended_); next != encoded_.end()) {
      segment = std::move(next->second);
      encoded_.erase(next);
    }
    lock.unlock();
    const std::uint64_t packs_before = appender_.packs_published();
    Status done = segment ? appender_.append(std::move(*segment)) : appender_.publish();
    if (!done.ok()) return errors_.report(done.take_error());
    lock.lock();
    if (segment) ++appended_;
    // Publishing without a segment to append means that every appended segment is published, even when no
    // pack was open.
    if (!segment || appender_.packs_published() > packs_before) published_ = appended_;
    stored_bytes_ = appender_.stored_bytes();
    changed_.notify_all();
  }
}

bool SegmentPipeline::publish_is_due() const {
  return published_ < publish_until_ && appended_ >= publish_until_;
}

}  // namespace ashlar
