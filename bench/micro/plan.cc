// The plan of a restore window: 2 GiB of a volume in 64 pieces for each leaf, scattered over the segments of
// a store.
#include "restore/plan.h"

#include <benchmark/benchmark.h>

#include "small_store.h"

namespace ashlar {
namespace {

constexpr std::size_t kWindowLeaves = 512;
constexpr std::uint16_t kPieceBlocks = 16;
constexpr std::size_t kPieces = kWindowLeaves * kLeafBlocks / kPieceBlocks;

std::vector<RestorePiece> scattered_pieces() {
  const std::vector<SegmentId>& segments = SmallStore::shared().segments();
  Prng prng(4);
  std::vector<RestorePiece> pieces(kPieces);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto first = static_cast<std::uint16_t>(prng.below(kSegmentBlocks - kPieceBlocks + 1));
    pieces[i] = {segments[prng.below(segments.size())], first, kPieceBlocks, Lba{i * kPieceBlocks}};
  }
  return pieces;
}

Status fail(const RestorePiece& /*piece*/, const Error& error) { return error; }

std::size_t pieces_of(const std::vector<SegmentJob>& jobs) {
  std::size_t count = 0;
  for (const SegmentJob& job : jobs) count += job.pieces.size();
  return count;
}

// Measures sorting the pieces by segment and asking the index where each segment is.
void plan_a_window(benchmark::State& state) {
  SmallStore& store = SmallStore::shared();
  const std::vector<RestorePiece> pieces = scattered_pieces();
  SegmentReader reader(store.objects(), store.index());
  std::size_t jobs = 0;
  for (auto _ : state) {
    const auto planned = plan_restore(reader, pieces, fail);
    if (!planned.ok() || pieces_of(planned.value()) != kPieces)
      return state.SkipWithError("pieces are missing from the plan");
    jobs = planned.value().size();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPieces));
  state.counters["jobs"] = static_cast<double>(jobs);
}
BENCHMARK(plan_a_window)->Unit(benchmark::kMillisecond);

using Located = std::vector<std::shared_ptr<const LocatedSegment>>;

Result<Located> locate_all(SegmentReader& reader, const std::vector<SegmentJob>& jobs) {
  Located located;
  for (const SegmentJob& job : jobs) located.push_back(TRY(reader.locate(job.pieces.front().segment)));
  return located;
}

// Measures joining the pieces of each job into its reads.
void coalesce_a_window(benchmark::State& state) {
  SmallStore& store = SmallStore::shared();
  SegmentReader reader(store.objects(), store.index());
  const auto jobs = plan_restore(reader, scattered_pieces(), fail);
  if (!jobs.ok()) return state.SkipWithError("no plan");
  const auto located = locate_all(reader, jobs.value());
  if (!located.ok()) return state.SkipWithError("a segment is missing");
  std::size_t reads = 0;
  for (auto _ : state) {
    reads = 0;
    std::size_t planned = 0;
    for (std::size_t i = 0; i < jobs.value().size(); ++i) {
      for (const ReadRun& run : coalesce(*located.value()[i], jobs.value()[i].pieces)) {
        planned += run.piece_count;
        ++reads;
      }
    }
    if (planned != kPieces) return state.SkipWithError("pieces are missing from the reads");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPieces));
  state.counters["reads"] = static_cast<double>(reads);
}
BENCHMARK(coalesce_a_window)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ashlar
