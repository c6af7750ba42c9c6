// FrameCache: decoded frames, shared by all readers of a process. When several volumes of one image ask for a
// frame, even at the same time, it is fetched and decoded once.
//
// Frames are verified (SegmentReader). A failed fetch is an error for all callers that waited for it and is
// not remembered: the next call tries again. Any number of threads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/lru_cache.h"
#include "store/segments.h"

namespace ashlar {

class FrameCache {
 public:
  using Frame = std::shared_ptr<const AlignedBuffer>;
  static constexpr std::size_t kDefaultBytes = std::size_t{256} << 20U;

  // Creates a cache that holds at most `bytes` of frames of at most `frame_blocks` blocks, but at least one
  // frame.
  FrameCache(SegmentReader& segments, std::size_t bytes, std::uint32_t frame_blocks);

  // Returns the decoded blocks of a frame; waits for the store when the cache does not hold them.
  Result<Frame> get(const LocatedSegment& segment, std::size_t frame);
  // Decodes, verifies and caches the stored bytes of a frame that were not read from its pack.
  Status remember(const LocatedSegment& segment, std::size_t frame, ByteSpan stored);

  // Returns the number of frames fetched from packs; frames given to remember() do not count.
  std::uint64_t fetched() const { return fetched_frames_.load(); }

 private:
  // The key names blocks: a segment's id fixes its blocks, but not how they are divided into frames.
  struct Key {
    SegmentId segment;
    std::size_t first_block = 0;
    std::size_t block_count = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return IdHash()(key.segment) ^ ((key.first_block << 16U | key.block_count) * 0x9e3779b97f4a7c15ULL);
    }
  };
  // A fetch that is running: the first caller fetches, the others wait.
  struct Fetch {
    bool done = false;
    Frame frame;
    ErrorCode code = ErrorCode::kIo;  // valid while `frame` is null
    std::string text;
  };

  static Key key_of(const LocatedSegment& segment, std::size_t frame) {
    return {segment.directory.id, segment.frame_first_block[frame],
            segment.directory.frames[frame].block_count};
  }
  Result<Frame> fetch(const LocatedSegment& segment, std::size_t frame);
  static Result<Frame> outcome(const Fetch& fetch);

  SegmentReader& segments_;
  std::atomic<std::uint64_t> fetched_frames_{0};
  std::mutex mutex_;
  std::condition_variable fetched_;
  LruCache<Key, Frame, KeyHash> frames_;
  std::unordered_map<Key, std::shared_ptr<Fetch>, KeyHash> fetching_;
};

}  // namespace ashlar
