// SegmentReader: reads stored blocks; every block that it returns has been verified against its id.
//
// Directories are cached (the least recently used is dropped first) and packs are kept open. A read returns
// the right bytes or an error, never zeros: a segment that no pack holds, and a frame whose checksum or block
// ids do not match, are kCorrupt errors that name pack, segment and frame.
//
// Several packs may hold a segment. When the bytes can't be had from one place, the next is tried, frame by
// frame. When no known place has them, the index catches up once: another process may have stored them again.
// When one of the places failed with an error that is not damage, that error is returned.
//
// Frames that are known to be damaged (damaged_frames.h) are not sound for writers, and are read last: bytes
// that match their ids are right. A frame that was given up as lost is an error. A frame that a read finds
// wrong is recorded.
//
// Threads: any number.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "codec/frame.h"
#include "index/index.h"
#include "pack/leaned_packs.h"
#include "pack/pack_store.h"
#include "store/damaged_frames.h"

namespace ashlar {

class PlaceErrors;

// A set of blocks of a segment, by number.
using SegmentBlocks = std::bitset<kSegmentBlocks>;
// Returns blocks [first, first + count).
SegmentBlocks block_set(std::size_t first, std::size_t count);

// A segment's directory together with its place.
struct LocatedSegment {
  SegmentPlace place;
  SegmentBlocks present;  // the blocks whose frames are not absent
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

// Returns the blocks of these frames.
SegmentBlocks blocks_of(const LocatedSegment& segment, const FrameSet& frames);

// A segment that new snapshots may lean on.
struct SoundSegment {
  std::shared_ptr<const LocatedSegment> segment;  // at its first sound place
  SegmentBlocks present;                          // the blocks that are in packs to lean on
};

// Returns the calling thread's own decoder.
FrameDecoder& thread_decoder();

// Whether a place with a damaged frame is one to rely on.
enum class DamagedPlaces : unsigned char {
  kLeftOut,
  kCounted,  // for a volume's own snapshot, which has no other source for what its base has lost
};

class SegmentReader {
 public:
  // `damage` may be null: then nothing is known to be damaged.
  SegmentReader(ObjectStore& objects, Index& index, DamagedFrames* damage = nullptr);
  ~SegmentReader();
  SegmentReader(const SegmentReader&) = delete;
  SegmentReader& operator=(const SegmentReader&) = delete;

  // Returns the first place of a segment; kCorrupt when no pack holds it.
  Result<SegmentPlace> place_of(const SegmentId& id) const;
  // Returns the directory of a stored segment; kCorrupt when no pack holds it.
  Result<std::shared_ptr<const LocatedSegment>> locate(const SegmentId& id);
  // Makes the index catch up, for a segment whose places it knows seem to be gone.
  Status look_again(const SegmentId& id);
  // Returns the segment at each place whose directory can be read, and fails when there is none.
  Result<std::vector<std::shared_ptr<const LocatedSegment>>> locate_all(const SegmentId& id);
  // Returns the segment at one place.
  Result<std::shared_ptr<const LocatedSegment>> locate_at(const SegmentPlace& place) {
    return read_directory(place);
  }
  // Returns what a writer may lean on: the blocks of the segment in packs that `leaned` lets it lean on,
  // whose header and trailer are right and whose directory was read. (A pack that has lost them is still
  // found by the present index, but not by a rebuilt one.) Fails when no place is sound. When a place is gone
  // or may not be leaned on, and no other is sound, the index catches up once: a collection has moved it.
  Result<SoundSegment> locate_sound(const SegmentId& id, LeanedPacks& leaned,
                                    DamagedPlaces damaged = DamagedPlaces::kLeftOut);
  // Caches a decoded directory that was not read from its pack, marked as hearsay; a directory that is cached
  // already stays. Returns kCorrupt when it cannot be the directory that the index describes.
  Result<std::shared_ptr<const LocatedSegment>> remember(SegmentDirectory directory);
  // Drops a cached directory that is hearsay, so that locate() reads the pack.
  void forget(const SegmentId& id);
  // Reads blocks [first, first + count) of a segment into `out` (count × 4096 bytes) with one read of the
  // pack; decodes and verifies their frames. Only the directory is cached. What can't be had from the place
  // of `segment` is read from its other places.
  Status read(const LocatedSegment& segment, std::size_t first, std::size_t count, MutableByteSpan out);

  // Returns the blocks in frames that are known to be damaged at this place.
  SegmentBlocks damaged_blocks(const LocatedSegment& segment) const;

  // Returns ok when a pack has its header and its trailer; each pack is checked once.
  Status check_ends(const PackId& id);

  // Returns an open pack from a bounded cache.
  Result<std::shared_ptr<PackReader>> pack(const PackId& id);

 private:
  struct State;
  using Located = std::shared_ptr<const LocatedSegment>;

  // Reads the directory at one place.
  Result<Located> read_directory(const SegmentPlace& place);
  // Reads blocks from one place.
  Status read_at(const LocatedSegment& segment, std::size_t first, std::size_t count, MutableByteSpan out);
  using PieceFilter = std::function<bool(const LocatedSegment&, std::size_t block)>;
  // Reads blocks piece by piece, each from the first place that `is_usable` accepts and that has it.
  Status read_pieces(const std::vector<Located>& places, std::size_t first, std::size_t count,
                     MutableByteSpan out, const PieceFilter& is_usable, PlaceErrors& errors);
  // Reads blocks from the places of the segment where they are not known to be damaged.
  Status read_undamaged(const SegmentId& id, std::size_t first, std::size_t count, MutableByteSpan out);
  Status read_elsewhere(const LocatedSegment& segment, std::size_t first, std::size_t count,
                        MutableByteSpan out, Error error);
  Status check_not_lost(const LocatedSegment& segment, std::size_t first, std::size_t last) const;
  void report(const LocatedSegment& segment, std::size_t frame, const Error& error);
  void cache(const SegmentId& id, Located segment);

  std::unique_ptr<State> state_;
};

}  // namespace ashlar
