// GrainStudy: the figures of every grain, computed from runs of one source after the other.
// Internal to the module.
//
//   hash_run()   any thread   turns the bytes of a run into one number per block
//   decide()     in order     finds which chunks are new; puts new blocks into frames with those before them
//   compress()   any thread   compresses the new chunks of a run and adds up their sizes
//
// A run is 4 MiB at an offset that is a multiple of 4 MiB, so a chunk of any grain lies in one run.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <vector>

#include "analyze/analyze.h"
#include "analyze/sampled_set.h"
#include "base/bytes.h"
#include "base/quantity.h"
#include "codec/frame.h"
#include "source/source.h"

namespace ashlar {

inline constexpr std::array<std::uint64_t, 5> kGrainBlocks = {1, 4, 16, 128, 1024};
inline constexpr std::size_t kGrains = kGrainBlocks.size();
inline constexpr std::size_t kEngineRow = kGrains;  // the row after those of the grains

// 64 bits per block of a run; 0 for a block of zeros.
using BlockHashes = std::vector<std::uint64_t>;
BlockHashes hash_run(ByteSpan run);

// A new chunk of a fixed grain.
struct NewChunk {
  std::size_t grain = 0;
  std::uint32_t first_block = 0;  // counted from the start of the run
  std::uint32_t block_count = 0;
  std::uint64_t weight = 1;  // the number of chunks that it represents
};

// A run whose new chunks are known.
struct DecidedRun {
  Run run;
  std::vector<NewChunk> chunks;
  ByteVector frames;  // new blocks for the engine's row: whole frames except at the end of a source
};

// Compresses single chunks with zstd -1, only to learn their sizes, and frames as the engine stores them.
// Each thread has its own.
class ChunkCompressor {
 public:
  ChunkCompressor();
  ~ChunkCompressor();
  ChunkCompressor(const ChunkCompressor&) = delete;
  ChunkCompressor& operator=(const ChunkCompressor&) = delete;
  Result<std::uint64_t> stored_bytes(ByteSpan chunk);
  Result<std::uint64_t> stored_frame_bytes(ByteSpan frame);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
  ByteVector compressed_;
  FrameEncoder frames_;
};

class GrainStudy {
 public:
  explicit GrainStudy(std::size_t max_set_slots);

  void begin_source();
  DecidedRun decide(Run run, const BlockHashes& hashes);
  // Returns the blocks of the last, short frame of the source.
  DecidedRun end_source();
  Status compress(const DecidedRun& decided, ChunkCompressor& compressor);

  std::vector<GrainRow> rows() const;
  std::vector<std::uint64_t> data_bytes() const;  // an entry per source

 private:
  // Sums over one source. Worker threads add to them while it is studied.
  struct Sums {
    std::array<std::atomic<std::uint64_t>, kGrains + 1> stored{};
    std::array<std::atomic<std::uint64_t>, kGrains + 1> unique{};
    std::atomic<std::uint64_t> data{0};
  };
  void decide_grain(std::size_t grain, const BlockHashes& hashes, DecidedRun& decided);
  std::uint64_t decide_engine(const BlockHashes& hashes, DecidedRun& decided);
  void add_leaf(const BlockHashes& hashes, std::uint64_t extents);

  std::array<SampledSet, kGrains> sets_;
  std::vector<std::uint8_t> is_new_;  // a flag per block of the present run, for the engine's row
  bool last_was_new_ = true;          // assumed for a block that is not in the sample
  bool leaf_is_new_ = false;
  ByteVector open_frame_;
  std::deque<Sums> sums_;
};

}  // namespace ashlar
