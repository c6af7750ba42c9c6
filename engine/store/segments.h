// SegmentReader: reads stored blocks; every block that it returns has been verified against its id.
//
// Directories are cached (the least recently used is dropped first) and packs are kept open. A read returns
// the right bytes or an error, never zeros: a segment that no pack holds, and a frame whose checksum or block
// ids do not match, are kCorrupt errors that name pack, segment and frame.
//
// Threads: any number.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "codec/frame.h"
#include "index/index.h"
#include "pack/pack_store.h"

namespace ashlar {

// A segment's directory together with its place.
struct LocatedSegment {
  SegmentPlace place;
  SegmentDirectory directory;
  std::vector<std::uint64_t> frame_offsets;      // from the start of the pack, one per frame
  std::vector<std::uint16_t> frame_first_block;  // number of the frame's first block in the segment
  // True for a directory that was not read from its pack: its block ids are right, its frames may be those of
  // another pack.
  bool is_hearsay = false;

  std::size_t frame_of(std::size_t block) const;
};

std::shared_ptr<const LocatedSegment> locate_segment(const SegmentPlace& place, SegmentDirectory directory);

// Returns where a segment's frame lies, for messages: "pack 3f…, segment 7a…, frame 12".
std::string describe_frame(const LocatedSegment& segment, std::size_t frame);

// Decodes the stored bytes of one frame into `blocks`, which has exactly its size, and checks its checksum
// and the id of each of its blocks. All readers of frames use it.
Status decode_verified(const LocatedSegment& segment, std::size_t frame, ByteSpan stored,
                       FrameDecoder& decoder, MutableByteSpan blocks);

// Returns the calling thread's own decoder.
FrameDecoder& thread_decoder();

class SegmentReader {
 public:
  SegmentReader(ObjectStore& objects, Index& index);
  ~SegmentReader();
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // Returns where a segment is stored; kCorrupt when no pack holds it.
  Result<SegmentPlace> place_of(const SegmentId& id) const;
  // Returns the directory of a stored segment; kCorrupt when no pack holds it.
  Result<std::shared_ptr<const LocatedSegment>> locate(const SegmentId& id);
  // Caches a decoded directory that was not read from its pack, marked as hearsay; a directory that is cached
  // already stays. Returns kCorrupt when it cannot be the directory that the index describes.
  Result<std::shared_ptr<const LocatedSegment>> remember(SegmentDirectory directory);
  // Drops a cached directory that is hearsay, so that locate() reads the pack.
  void forget(const SegmentId& id);
  // Reads blocks [first, first + count) of a segment into `out` (count × 4096 bytes) with one read of the
  // pack; decodes and verifies their frames. Only the directory is cached.
  Status read(const LocatedSegment& segment, std::size_t first, std::size_t count, MutableByteSpan out);

  // Returns ok when a pack has its header and its trailer; each pack is checked once. When a pack has lost
  // them, the present index still finds its segments, but a rebuilt index will not: new blocks must not rely
  // on it.
  Status check_ends(const PackId& id);
  // Returns whether new blocks may rely on a pack. A pack that can't be read just now may be whole: that is
  // an error.
  Result<bool> is_whole(const PackId& id);

  // Returns an open pack from a bounded cache.
  Result<std::shared_ptr<PackReader>> pack(const PackId& id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
