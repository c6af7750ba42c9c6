// Admission: during a capture, the only part that decides whether a block is stored already, and where.
//
// A block is known when its whole id is in the directory of a published segment, in a frame that is not
// absent and not known to be damaged, or in a segment of this session. Directories are found through hooks
// (index.h): when a hook is in the index, the directory of its segment and those of the two adjacent segments
// are loaded, and the neighbours of the block are found there (locality, Zhu et al., FAST'08). Deciding "new"
// wrongly costs a duplicate; deciding "known" wrongly would lose data, so only the whole id counts.
//
// New blocks are copied, in the order in which they are admitted, into the open segment. A full segment is
// sealed and handed to `sink`. The session refers to segments by handles, because an open segment has no id
// yet.
//
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "store/segments.h"

namespace ashlar {

// A segment as this session refers to it: one published before, or one that the session filled.
struct SegmentHandle {
  std::uint32_t value = 0;
  friend auto operator<=>(SegmentHandle, SegmentHandle) = default;
};

struct BlockPlace {
  SegmentHandle segment;
  std::uint16_t index = 0;
  friend bool operator==(const BlockPlace&, const BlockPlace&) = default;
};

// A full (or last) segment of new blocks, to be encoded and appended.
struct SealedSegment {
  std::uint64_t ordinal = 0;  // the order in which the session's segments are appended, from 0
  SegmentId id;
  std::vector<BlockId> blocks;
  AlignedBuffer data;  // blocks.size() × 4096 bytes are used
};

struct AdmitCounters {
  std::uint64_t blocks = 0;      // blocks passed to admit()
  std::uint64_t new_blocks = 0;  // blocks that were not known
  std::uint64_t directories_read = 0;
};

class Admission {
 public:
  using Sink = std::function<Status(SealedSegment)>;
  Admission(Index& index, SegmentReader& segments, LeanedPacks& leaned, Sink sink);
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // Finds or assigns the place of each id. `data[i]` holds the 4096 bytes of ids[i]; they are copied when the
  // block is new.
  Status admit(std::span<const BlockId> ids, std::span<const std::byte* const> data,
               std::span<BlockPlace> places);
  // Loads the directory of a published segment and returns its handle. Used for the parent's segments under a
  // changed leaf. A segment in damaged places only gets a handle, and none of its blocks is known.
  Result<SegmentHandle> bring_in(const SegmentId& id);

  // Returns whether the segment has its id.
  bool is_sealed(SegmentHandle handle) const;
  SegmentId id_of(SegmentHandle handle) const;  // needs is_sealed(handle)
  // Seals the open segment and hands it to the sink, if it holds blocks.
  Status seal();

  const AdmitCounters& counters() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
