#include "restore/plan.h"

#include <algorithm>
#include <tuple>

namespace ashlar {

Result<std::vector<SegmentJob>> plan_restore(SegmentReader& segments, std::vector<RestorePiece> pieces,
                                             const LosePiece& lose) {
  std::sort(pieces.begin(), pieces.end(), [](const RestorePiece& a, const RestorePiece& b) {
    return std::tie(a.segment, a.first, a.lba) < std::tie(b.segment, b.first, b.lba);
  });
  std::vector<SegmentJob> jobs;
  for (auto piece = pieces.begin(); piece != pieces.end();) {
    const auto end = std::find_if(piece, pieces.end(),
                                  [&](const RestorePiece& other) { return other.segment != piece->segment; });
    const auto place = segments.place_of(piece->segment);
    if (place.ok()) jobs.push_back({place.value(), {piece, end}});
    for (; piece != end; ++piece) {
      if (!place.ok()) TRY(lose(*piece, place.error()));
    }
  }
  std::sort(jobs.begin(), jobs.end(), [](const SegmentJob& a, const SegmentJob& b) {
    return std::tie(a.place.pack, a.place.entry.payload_offset) <
           std::tie(b.place.pack, b.place.entry.payload_offset);
  });
  return jobs;
}

std::vector<ReadRun> coalesce(const LocatedSegment& segment, const std::vector<RestorePiece>& pieces) {
  std::vector<ReadRun> runs;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::size_t first = segment.frame_of(pieces[i].first);
    const std::size_t last = segment.frame_of(pieces[i].first + pieces[i].count - 1U);
    if (runs.empty() || first > runs.back().last_frame + 1) {
      runs.push_back({first, last, i, 1});
    } else {
      runs.back().last_frame = std::max(runs.back().last_frame, last);
      ++runs.back().piece_count;
    }
  }
  return runs;
}

}  // namespace ashlar
