// Analyze: estimates what deduplication and compression would save on disk images, without a store.
//
// Each grain is studied as if a store of that grain took the images one after the other: images are cut into
// chunks of the grain's size at aligned offsets; a chunk that was met before costs nothing; a new chunk is
// compressed alone with zstd -1 (or kept raw when that is smaller). The last row is this engine: blocks of 4
// KiB, of which new ones are compressed together in frames of 64 KiB in the order of their arrival, plus the
// size of their directories and of the manifest. All rows come from one pass over the images. Zeros and holes
// cost nothing.
//
// Chunks are identified by 64 bits of XXH3, which is enough for an estimate only. The sets of hashes are
// bounded: past the bound they continue with a sample (sampled_set.h), and the row reports it. Memory: at
// most about 400 MiB for any input.
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
  unsigned threads = 0;  // 0: one per processor
  // For the set of 4 KiB blocks; the sets of larger grains get a quarter.
  std::size_t max_set_slots = std::size_t{1} << 24U;
};

// Counters that another thread reads while the analysis runs.
struct AnalyzeProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};  // including holes
  std::atomic<std::uint64_t> read_bytes{0};
};

struct AnalyzedSource {
  std::string name;
  ByteCount size;
  ByteCount data_bytes;  // bytes in blocks that are not all zero
};

// The row of one grain: how much each source adds to the sources before it.
struct GrainRow {
  std::string name;  // "4K" … "4M", and "ashlar"
  ByteCount grain;   // the grain of deduplication
  std::vector<ByteCount> added;
  std::vector<ByteCount> added_unique;  // before compression
  std::uint64_t sample = 1;             // the row is estimated from 1 of this many chunks; 1: exact
  ByteCount sum() const;
};

struct AnalyzeReport {
  std::vector<AnalyzedSource> sources;
  std::vector<GrainRow> rows;
};

// Reads every source from front to back. Every source must have a size (no streams). Fails when a block
// cannot be read.
Result<AnalyzeReport> analyze(std::span<const std::unique_ptr<Source>> sources, const AnalyzeOptions& options,
                              AnalyzeProgress& progress, std::stop_token stop);

}  // namespace ashlar
