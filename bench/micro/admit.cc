// Admission of runs of 4 MiB into a store of 4 GiB: is a block stored already, and where?
//
// Each pass has its own admission and its own segment reader, so that directories are read from the packs
// again.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "small_store.h"
#include "store/admission.h"

namespace ashlar {
namespace {

constexpr std::size_t kRuns = 32;  // runs in a pass: 128 MiB

// Admits the ids as runs and returns the counters.
Result<AdmitCounters> admit_runs(Admission& admission, std::span<const BlockId> ids, ByteSpan bytes) {
  std::vector<const std::byte*> data(kLeafBlocks);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = bytes.data() + i * kBlockBytes;
  std::vector<BlockPlace> places(kLeafBlocks);
  for (; !ids.empty(); ids = ids.subspan(kLeafBlocks))
    TRY(admission.admit(ids.first(kLeafBlocks), data, places));
  return admission.counters();
}

// Measures the admission of `ids`. The share of new blocks must lie between `least_new` and `most_new`.
void admit(benchmark::State& state, std::span<const BlockId> ids, double least_new, double most_new) {
  SmallStore& store = SmallStore::shared();
  AlignedBuffer bytes(kLeafBytes);
  std::memset(bytes.data(), 1, bytes.size());
  AdmitCounters counters;
  for (auto _ : state) {
    state.PauseTiming();
    auto reader = std::make_unique<SegmentReader>(store.objects(), store.index());
    LeanedPacks leaned(store.objects(), SessionId{});
    auto admission =
        std::make_unique<Admission>(store.index(), *reader, leaned, [](SealedSegment) { return Status(); });
    state.ResumeTiming();
    const auto counted = admit_runs(*admission, ids, bytes.span());
    state.PauseTiming();
    if (!counted.ok()) return state.SkipWithError("admit failed");
    counters = counted.value();
    admission.reset();
    reader.reset();
    state.ResumeTiming();
  }
  const double share = static_cast<double>(counters.new_blocks) / static_cast<double>(ids.size());
  if (counters.blocks != ids.size() || share < least_new || share > most_new)
    state.SkipWithError("blocks were taken for what they are not");
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(ids.size()));
  state.counters["new"] = share;
  state.counters["directories"] = static_cast<double>(counters.directories_read);
}

void admit_new_blocks(benchmark::State& state) {
  Prng prng(3);
  admit(state, made_up_ids(prng, kRuns * kLeafBlocks), 1, 1);
}
BENCHMARK(admit_new_blocks)->Unit(benchmark::kMillisecond);

// The ids come in the order in which they were stored, as in the second copy of a disk.
void admit_near_duplicates(benchmark::State& state) {
  admit(state, std::span(SmallStore::shared().blocks()).first(kRuns * kLeafBlocks), 0, 0);
}
BENCHMARK(admit_near_duplicates)->Unit(benchmark::kMillisecond);

// The worst order: each block is from another place of the 4 GiB. A block that is not a hook stays unknown
// until a hook has brought in the directory of its segment; until then such a block is stored a second time.
void admit_scattered_duplicates(benchmark::State& state) {
  const std::vector<BlockId>& all = SmallStore::shared().blocks();
  constexpr std::size_t kStride = 8191;  // coprime to the number of blocks
  std::vector<BlockId> ids(kRuns * kLeafBlocks);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = all[i * kStride % all.size()];
  admit(state, ids, 0, 0.6);
}
BENCHMARK(admit_scattered_duplicates)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ashlar
