// The plan of a restore window: what to read of which segment, and where it goes. Pure data; printing it says
// what execution would do.
#pragma once

#include <cstdint>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "store/segments.h"

namespace ashlar {

// Blocks [first, first + count) of a segment go to `lba`.
struct RestorePiece {
  SegmentId segment;
  std::uint16_t first = 0;
  std::uint16_t count = 0;
  Lba lba;
};

// Everything that one segment gives to the window, in the order of its blocks.
struct SegmentJob {
  SegmentPlace place;
  std::vector<RestorePiece> pieces;
};

// Jobs in the order of packs and offsets. kCorrupt when a segment is in no pack.
Result<std::vector<SegmentJob>> plan_restore(SegmentReader& segments, std::vector<RestorePiece> pieces);

// Pieces of a job whose frames touch or lie next to each other: one read.
struct ReadRun {
  std::size_t first_frame = 0;
  std::size_t last_frame = 0;
  std::size_t first_piece = 0;
  std::size_t piece_count = 0;
};
std::vector<ReadRun> coalesce(const LocatedSegment& segment, const std::vector<RestorePiece>& pieces);

}  // namespace ashlar
