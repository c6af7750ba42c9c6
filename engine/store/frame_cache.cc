#include "store/frame_cache.h"

#include <algorithm>

namespace ashlar {

FrameCache::FrameCache(SegmentReader& segments, std::size_t bytes, std::uint32_t frame_blocks)
    : segments_(segments), frames_(std::max<std::size_t>(1, bytes / (frame_blocks * kBlockBytes))) {}

Result<FrameCache::Frame> FrameCache::get(const LocatedSegment& segment, std::size_t frame) {
  const Key key = key_of(segment, frame);
  std::unique_lock lock(mutex_);
  if (const Frame* held = frames_.get(key)) return *held;
  if (const auto found = fetching_.find(key); found != fetching_.end()) {
    const std::shared_ptr<Fetch> other = found->second;
    fetched_.wait(lock, [&] { return other->done; });
    return outcome(*other);
  }
  const auto own = std::make_shared<Fetch>();
  fetching_.emplace(key, own);
  lock.unlock();
  Result<Frame> got = fetch(segment, frame);
  lock.lock();
  own->done = true;
  if (got.ok()) {
    own->frame = got.value();
    frames_.put(key, got.value());
  } else {
    own->code = got.error().code();
    own->text = got.error().text();
  }
  fetching_.erase(key);
  fetched_.notify_all();
  return got;
}

Result<FrameCache::Frame> FrameCache::fetch(const LocatedSegment& segment, std::size_t frame) {
  const std::size_t blocks = segment.directory.frames[frame].block_count;
  auto buffer = std::make_shared<AlignedBuffer>(blocks * kBlockBytes);
  ++fetched_frames_;
  TRY(segments_.read(segment, segment.frame_first_block[frame], blocks, buffer->span()));
  return Frame(std::move(buffer));
}

Status FrameCache::remember(const LocatedSegment& segment, std::size_t frame, ByteSpan stored) {
  const Key key = key_of(segment, frame);
  {
    const std::lock_guard lock(mutex_);
    if (frames_.get(key) != nullptr) return {};
  }
  auto buffer = std::make_shared<AlignedBuffer>(segment.directory.frames[frame].block_count * kBlockBytes);
  TRY(decode_verified(segment, frame, stored, thread_decoder(), buffer->span()));
  const std::lock_guard lock(mutex_);
  frames_.put(key, std::move(buffer));
  return {};
}

Result<FrameCache::Frame> FrameCache::outcome(const Fetch& fetch) {
  if (fetch.frame) return fetch.frame;
  return Error(fetch.code, fetch.text);
}

}  // namespace ashlar
