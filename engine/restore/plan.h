// Restore plan: which blocks of which segments a restore window reads, and where they are written. The plan
// is pure data: printed, it shows what its execution would do.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "store/segments.h"

namespace ashlar {

// Blocks [first, first + count) of a segment, which are written at `lba`.
struct RestorePiece {
  SegmentId segment;
  std::uint16_t first = 0;
  std::uint16_t count = 0;
  Lba lba;
};

// All pieces that one segment contributes to the window, in the order of its blocks.
struct SegmentJob {
  SegmentPlace place;
  std::vector<RestorePiece> pieces;
};

// Decides about a piece whose bytes can't be had: ok leaves it out, an error ends the restore.
using LosePiece = std::function<Status(const RestorePiece&, const Error&)>;

// Returns the jobs in the order of packs and offsets. Pieces of a segment without a place go to `lose`.
Result<std::vector<SegmentJob>> plan_restore(SegmentReader& segments, std::vector<RestorePiece> pieces,
                                             const LosePiece& lose);

// Pieces of a job whose frames overlap or are adjacent, so that one read serves them.
struct ReadRun {
  std::size_t first_frame = 0;
  std::size_t last_frame = 0;
  std::size_t first_piece = 0;
  std::size_t piece_count = 0;
};
// Groups the pieces of a job, which are sorted by block, into runs.
std::vector<ReadRun> coalesce(const LocatedSegment& segment, const std::vector<RestorePiece>& pieces);

}  // namespace ashlar
