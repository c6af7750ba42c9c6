// Decoded frames, shared by all readers of a process: however many volumes of one image ask for a frame, it
// is fetched and decoded once, also when they ask at the same time.
//
// Frames are verified (SegmentReader). A failed fetch is an error of those who waited for it and is not
// remembered: the next one tries again. Any number of threads.
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

  // Holds at most `bytes` of frames of at most `frame_blocks` blocks, and one frame at the least.
  FrameCache(SegmentReader& segments, std::size_t bytes, std::uint32_t frame_blocks);

  // The decoded blocks of a frame: waits for the store when they are not held.
  Result<Frame> get(const LocatedSegment& segment, std::size_t frame);
  // Takes the stored bytes of a frame that came another way, decoded and verified.
  Status remember(const LocatedSegment& segment, std::size_t frame, ByteSpan stored);

  // Frames that were fetched from packs; those that came another way do not count.
  std::uint64_t fetched() const { return fetched_frames_.load(); }

 private:
  // By blocks: a segment's id says what its blocks are, not how they are divided into frames.
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
  // A fetch on its way: the first asker fetches, the others wait.
  struct Fetch {
    bool done = false;
    Frame frame;
    ErrorCode code = ErrorCode::kIo;  // without a frame
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
