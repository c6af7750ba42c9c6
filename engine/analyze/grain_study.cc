#include "analyze/grain_study.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>

#include "codec/hash.h"
#include "format/pack_format.h"

namespace ashlar {
namespace {

constexpr std::array<const char*, kGrains> kGrainNames = {"4K", "16K", "64K", "512K", "4M"};
constexpr int kLevel = 1;

// Rough sizes of a leaf's parts in a meta pack (docs/format/manifest.md), including its footer entry and its
// place in an inner node.
constexpr std::uint64_t kLeafFixedBytes = 64 + kNodeEntryBytes + 65;
constexpr std::uint64_t kExtentBytes = 8;
constexpr std::uint64_t kSegmentRefBytes = 32;
constexpr std::uint64_t kRegionHashBytes = 16;

std::uint64_t never_zero(std::uint64_t hash) { return hash == 0 ? 1 : hash; }

bool all_zero(std::span<const std::uint64_t> hashes) {
  return std::all_of(hashes.begin(), hashes.end(), [](std::uint64_t h) { return h == 0; });
}

// Returns the hash of a chunk: for a single block its own hash, else a hash over the hashes of its blocks.
std::uint64_t chunk_hash(std::span<const std::uint64_t> hashes) {
  if (hashes.size() == 1) return hashes[0];
  return never_zero(checksum64(std::as_bytes(hashes)));
}

ByteSpan blocks_of(ByteSpan run, std::uint64_t first, std::uint64_t count) {
  return run.subspan(first * kBlockBytes, count * kBlockBytes);
}

}  // namespace

BlockHashes hash_run(ByteSpan run) {
  BlockHashes hashes(run.size() / kBlockBytes);
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const ByteSpan block = blocks_of(run, i, 1);
    hashes[i] = is_zero(block) ? 0 : never_zero(checksum64(block));
  }
  return hashes;
}

struct ChunkCompressor::Context {
  ZSTD_CCtx* zstd = ZSTD_createCCtx();
};

ChunkCompressor::ChunkCompressor() : context_(std::make_unique<Context>()), frames_(kLevel) {
  CHECK(context_->zstd != nullptr);
}

ChunkCompressor::~ChunkCompressor() { ZSTD_freeCCtx(context_->zstd); }

Result<std::uint64_t> ChunkCompressor::stored_bytes(ByteSpan chunk) {
  compressed_.resize(std::max(compressed_.size(), ZSTD_compressBound(chunk.size())));
  const std::size_t size = ZSTD_compressCCtx(context_->zstd, compressed_.data(), compressed_.size(),
                                             chunk.data(), chunk.size(), kLevel);
  if (ZSTD_isError(size) != 0) return corrupt(fmt::format("zstd compress: {}", ZSTD_getErrorName(size)));
  return std::uint64_t{std::min(size, chunk.size())};
}

Result<std::uint64_t> ChunkCompressor::stored_frame_bytes(ByteSpan frame) {
  const FrameEncoder::Encoded encoded = TRY(frames_.encode(frame));
  return std::uint64_t{encoded.stored.size()};
}

GrainStudy::GrainStudy(std::size_t max_set_slots)
    : sets_{SampledSet(max_set_slots), SampledSet(max_set_slots / 4), SampledSet(max_set_slots / 4),
            SampledSet(max_set_slots / 4), SampledSet(max_set_slots / 4)} {}

void GrainStudy::begin_source() { sums_.emplace_back(); }

DecidedRun GrainStudy::decide(Run run, const BlockHashes& hashes) {
  DecidedRun decided;
  decided.run = std::move(run);
  is_new_.assign(hashes.size(), 0);
  leaf_is_new_ = false;
  const auto data_blocks = hashes.size() - static_cast<std::size_t>(std::ranges::count(hashes, 0U));
  sums_.back().data += data_blocks * kBlockBytes;
  for (std::size_t grain = 0; grain < kGrains; ++grain) decide_grain(grain, hashes, decided);
  const std::uint64_t extents = decide_engine(hashes, decided);
  if (leaf_is_new_) add_leaf(hashes, extents);
  return decided;
}

void GrainStudy::decide_grain(std::size_t grain, const BlockHashes& hashes, DecidedRun& decided) {
  const std::uint64_t step = kGrainBlocks[grain];
  for (std::size_t first = 0; first < hashes.size(); first += step) {
    const std::size_t count = std::min<std::size_t>(step, hashes.size() - first);
    const std::span<const std::uint64_t> blocks = std::span(hashes).subspan(first, count);
    if (all_zero(blocks)) continue;
    const std::uint64_t weight = sets_[grain].sample();
    const SampledSet::Answer answer = sets_[grain].insert(chunk_hash(blocks));
    const bool is_new = answer == SampledSet::Answer::kNew;
    if (is_new) {
      decided.chunks.push_back(
          {grain, static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(count), weight});
    }
    if (step == 1) {
      if (answer != SampledSet::Answer::kNotSampled) last_was_new_ = is_new;
      is_new_[first] = last_was_new_ ? 1 : 0;
    }
    if (step == kLeafBlocks) leaf_is_new_ = answer != SampledSet::Answer::kKnown;
  }
}

// Puts the new blocks into frames, after the blocks left over from earlier runs. Returns the number of
// extents of the run: an extent ends where zero, known and new blocks meet.
std::uint64_t GrainStudy::decide_engine(const BlockHashes& hashes, DecidedRun& decided) {
  ByteVector blocks = std::move(open_frame_);
  std::uint64_t extents = 0;
  int before = -1;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const int kind = hashes[i] == 0 ? 0 : 1 + is_new_[i];
    if (kind != before) ++extents;
    before = kind;
    if (is_new_[i] == 0) continue;
    const ByteSpan block = blocks_of(decided.run.bytes, i, 1);
    blocks.insert(blocks.end(), block.begin(), block.end());
  }
  const auto rest = static_cast<std::ptrdiff_t>(blocks.size() % kFrameBytes);
  open_frame_.assign(blocks.end() - rest, blocks.end());
  blocks.resize(blocks.size() - static_cast<std::size_t>(rest));
  decided.frames = std::move(blocks);
  return extents;
}

void GrainStudy::add_leaf(const BlockHashes& hashes, std::uint64_t extents) {
  std::uint64_t regions = 0;
  for (std::size_t first = 0; first < hashes.size(); first += kRegionBlocks) {
    const std::size_t count = std::min<std::size_t>(kRegionBlocks, hashes.size() - first);
    if (!all_zero(std::span(hashes).subspan(first, count))) ++regions;
  }
  // The new blocks of a leaf lie in one or two segments; known blocks in about one segment per four extents.
  const std::uint64_t segments = 1 + (extents + 3) / 4;
  sums_.back().stored[kEngineRow] +=
      kLeafFixedBytes + extents * kExtentBytes + segments * kSegmentRefBytes + regions * kRegionHashBytes;
}

DecidedRun GrainStudy::end_source() {
  DecidedRun decided;
  decided.frames = std::move(open_frame_);
  open_frame_.clear();
  return decided;
}

Status GrainStudy::compress(const DecidedRun& decided, ChunkCompressor& compressor) {
  Sums& sums = sums_.back();
  for (const NewChunk& chunk : decided.chunks) {
    const ByteSpan bytes = blocks_of(decided.run.bytes, chunk.first_block, chunk.block_count);
    sums.stored[chunk.grain] += chunk.weight * TRY(compressor.stored_bytes(bytes));
    sums.unique[chunk.grain] += chunk.weight * bytes.size();
  }
  const ByteSpan frames = decided.frames;
  for (std::size_t at = 0; at < frames.size(); at += kFrameBytes) {
    const ByteSpan frame = frames.subspan(at, std::min<std::size_t>(kFrameBytes, frames.size() - at));
    const std::uint64_t directory = kFrameEntryBytes + frame.size() / kBlockBytes * BlockId::kBytes;
    sums.stored[kEngineRow] += directory + TRY(compressor.stored_frame_bytes(frame));
    sums.unique[kEngineRow] += frame.size();
  }
  return {};
}

std::vector<GrainRow> GrainStudy::rows() const {
  std::vector<GrainRow> rows;
  for (std::size_t row = 0; row <= kGrains; ++row) {
    const bool is_engine = row == kEngineRow;
    GrainRow out;
    out.name = is_engine ? "ashlar" : kGrainNames[row];
    out.grain = ByteCount{(is_engine ? 1 : kGrainBlocks[row]) * kBlockBytes};
    out.sample = sets_[is_engine ? 0 : row].sample();
    for (const Sums& sums : sums_) {
      out.added.emplace_back(sums.stored[row].load());
      out.added_unique.emplace_back(sums.unique[row].load());
    }
    rows.push_back(std::move(out));
  }
  return rows;
}

std::vector<std::uint64_t> GrainStudy::data_bytes() const {
  std::vector<std::uint64_t> bytes;
  for (const Sums& sums : sums_) bytes.push_back(sums.data.load());
  return bytes;
}

}  // namespace ashlar
