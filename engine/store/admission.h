// Admission: the one owner of the question "is this block stored already, and where?" during a capture.
//
// A block is known when its whole id stands in the directory of a published segment or of a segment of this
// same session. Directories come in through hooks (index.h): a hook that hits brings in the directory of its
// segment and of the segments beside it, and the blocks around it are found there (locality, Zhu et al.,
// FAST'08). A wrong "new" costs a duplicate; a wrong "known" would lose data, so nothing less than the whole
// id counts.
//
// New blocks are copied, in the order in which they are admitted, into the open segment; a full one is sealed
// and handed to `sink`. Segments have session-local handles because an open segment has no id yet.
//
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/result.h"
#include "store/segments.h"

namespace ashlar {

// A segment as this session knows it: published before, or filled by the session.
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
  std::uint64_t ordinal = 0;  // the session's segments are appended in this order
  SegmentId id;
  std::vector<BlockId> blocks;
  AlignedBuffer data;  // blocks.size() × 4096 bytes are used
};

struct AdmitCounters {
  std::uint64_t blocks = 0;      // asked for
  std::uint64_t new_blocks = 0;  // not known
  std::uint64_t directories_read = 0;
};

class Admission {
 public:
  using Sink = std::function<Status(SealedSegment)>;
  Admission(Index& index, SegmentReader& segments, Sink sink);
  ~Admission();
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // For each id its place; `data[i]` is the 4096 bytes of ids[i], copied when the block is new.
  Status admit(std::span<const BlockId> ids, std::span<const std::byte* const> data,
               std::span<BlockPlace> places);
  // Brings in the directory of a published segment, as the parent's segments for a changed leaf. Its handle.
  Result<SegmentHandle> bring_in(const SegmentId& id);

  // The id of a segment once it is sealed.
  bool is_sealed(SegmentHandle handle) const;
  SegmentId id_of(SegmentHandle handle) const;  // is_sealed(handle)
  // Hands the open segment, if it holds blocks, to the sink.
  Status seal();

  const AdmitCounters& counters() const;
  // Published packs that known blocks were found in: the commit looks whether they are still there.
  const std::set<PackId>& reused_packs() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar
