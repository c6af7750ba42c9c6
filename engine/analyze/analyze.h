// Analyze: what deduplication and compression would make of some disk images, without a store.
//
// Each grain is studied as a store of that grain would see the images, one after the other: chunks of the
// grain's size at aligned offsets, a chunk that was met before costs nothing, a new one is compressed by
// itself with zstd -1 (or kept raw when that is larger). The last row is this engine: blocks of 4 KiB, new
// ones compressed together in frames of 64 KiB in the order of their arrival, plus what their directories and
// the manifest take. All rows come from one pass over the images. Zeros and holes are free.
//
// Chunks are told apart by 64 bits of XXH3, which serves an estimate and nothing more. The sets are bounded:
// past the bound they go on with a sample (sampled_set.h), and the row says so. Some 400 MiB at most for any
// input.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "source/source.h"

namespace ashlar {

struct AnalyzeOptions {
  unsigned threads = 0;                               // 0: one a processor
  std::size_t max_set_slots = std::size_t{1} << 24U;  // of the set of blocks; larger grains get a quarter
};

// Read by another thread while the analysis runs.
struct AnalyzeProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};  // holes included
  std::atomic<std::uint64_t> read_bytes{0};
};

struct AnalyzedSource {
  std::string name;
  ByteCount size;
  ByteCount data_bytes;  // of blocks that are not all zero
};

// One grain: what each source adds to those before it.
struct GrainRow {
  std::string name;  // "4K" … "4M", and "ashlar"
  ByteCount grain;   // of dedup
  std::vector<ByteCount> added;
  std::vector<ByteCount> added_unique;  // before compression
  std::uint64_t sample = 1;             // estimated from 1 of this many chunks; 1: exact
  ByteCount sum() const;
};

struct AnalyzeReport {
  std::vector<AnalyzedSource> sources;
  std::vector<GrainRow> rows;
};

// Reads every source from front to back. Sources have a size (no streams). Blocks that can't be read fail the
// call.
Result<AnalyzeReport> analyze(std::span<const std::unique_ptr<Source>> sources, const AnalyzeOptions& options,
                              AnalyzeProgress& progress, std::stop_token stop);

}  // namespace ashlar
