// Reading stored blocks: a block that this gives out has been verified against its id.
//
// Directories are cached (least recently used goes first), packs are kept open. EIO or the right bytes, never
// zeros: a segment that no pack holds, a frame whose checksum or block ids do not match, are kCorrupt errors
// that name pack, segment and frame.
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
  std::vector<std::uint64_t> frame_offsets;      // in the pack, one a frame
  std::vector<std::uint16_t> frame_first_block;  // in the segment, one a frame
  bool is_hearsay =
      false;  // not read from its pack: its block ids are right, its frames may be another pack's

  std::size_t frame_of(std::size_t block) const;
};

std::shared_ptr<const LocatedSegment> locate_segment(const SegmentPlace& place, SegmentDirectory directory);

// Where a segment's frame lies, for messages: "pack 3f…, segment 7a…, frame 12".
std::string describe_frame(const LocatedSegment& segment, std::size_t frame);

// Decodes the stored bytes of one frame into `blocks` (its exact size) and checks its checksum and the id of
// each of its blocks. Shared by every reader of frames.
Status decode_verified(const LocatedSegment& segment, std::size_t frame, ByteSpan stored,
                       FrameDecoder& decoder, MutableByteSpan blocks);

// A decoder for each thread.
FrameDecoder& thread_decoder();

class SegmentReader {
 public:
  SegmentReader(ObjectStore& objects, Index& index);
  ~SegmentReader();
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // Where a segment is stored. kCorrupt when no pack holds it.
  Result<SegmentPlace> place_of(const SegmentId& id) const;
  // The directory of a stored segment. kCorrupt when no pack holds it.
  Result<std::shared_ptr<const LocatedSegment>> locate(const SegmentId& id);
  // Takes a decoded directory that came another way into the cache, marked as hearsay; one that is there
  // stays. kCorrupt when it can't be the one that the index knows of.
  Result<std::shared_ptr<const LocatedSegment>> remember(SegmentDirectory directory);
  // Drops hearsay, so that locate() reads the pack.
  void forget(const SegmentId& id);
  // Blocks [first, first + count) of a segment into `out` (count × 4096 bytes): one read of the pack, frames
  // decoded and verified. Nothing is cached but the directory.
  Status read(const LocatedSegment& segment, std::size_t first, std::size_t count, MutableByteSpan out);

  // Ok when a pack has its header and its trailer; each is looked at once. The index finds segments of a pack
  // that has lost them, and no index that is made anew will: nothing new may lean on it.
  Status check_ends(const PackId& id);

  // An open pack, from a bounded cache.
  Result<std::shared_ptr<PackReader>> pack(const PackId& id);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
