// Frames of 64 KiB through zstd and back, over 4 MiB that look like a disk.
#include <benchmark/benchmark.h>
#include <zstd.h>

#include "codec/frame.h"
#include "disk_like.h"

namespace ashlar {
namespace {

constexpr int kLevel = 1;

struct Stored {
  FrameCodec codec;
  ByteVector bytes;
};

Result<std::vector<Stored>> encode_all(ByteSpan data) {
  FrameEncoder encoder(kLevel);
  std::vector<Stored> frames;
  for (std::size_t at = 0; at < data.size(); at += kFrameBytes) {
    const auto frame = TRY(encoder.encode(data.subspan(at, kFrameBytes)));
    frames.push_back({frame.codec, ByteVector(frame.stored.begin(), frame.stored.end())});
  }
  return frames;
}

// Does what a capture does with a frame: compresses it, decodes it again, and compares.
void encode_frames(benchmark::State& state) {
  const AlignedBuffer data = disk_like(kSegmentBytes);
  FrameEncoder encoder(kLevel);
  std::size_t stored = 0;
  for (auto _ : state) {
    stored = 0;
    for (std::size_t at = 0; at < data.size(); at += kFrameBytes) {
      const auto frame = encoder.encode(data.span().subspan(at, kFrameBytes));
      if (!frame.ok() || frame.value().codec != FrameCodec::kZstd)
        return state.SkipWithError("a frame was not compressed");
      stored += frame.value().stored.size();
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSegmentBytes));
  state.counters["ratio"] = static_cast<double>(kSegmentBytes) / static_cast<double>(stored);
}
BENCHMARK(encode_frames)->Unit(benchmark::kMillisecond);

// Runs the compressor alone, to show what decoding and comparing add.
void compress_frames(benchmark::State& state) {
  const AlignedBuffer data = disk_like(kSegmentBytes);
  ByteVector out(ZSTD_compressBound(kFrameBytes));
  ZSTD_CCtx* const context = ZSTD_createCCtx();
  for (auto _ : state) {
    for (std::size_t at = 0; at < data.size(); at += kFrameBytes) {
      const std::size_t size =
          ZSTD_compressCCtx(context, out.data(), out.size(), data.data() + at, kFrameBytes, kLevel);
      if (ZSTD_isError(size) != 0 || size >= kFrameBytes) state.SkipWithError("a frame did not shrink");
    }
  }
  ZSTD_freeCCtx(context);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSegmentBytes));
}
BENCHMARK(compress_frames)->Unit(benchmark::kMillisecond);

void decode_frames(benchmark::State& state) {
  const AlignedBuffer data = disk_like(kSegmentBytes);
  const auto encoded = encode_all(data.span());
  if (!encoded.ok()) return state.SkipWithError("a frame was not encoded");
  AlignedBuffer out(kSegmentBytes);
  FrameDecoder decoder;
  for (auto _ : state) {
    std::size_t at = 0;
    for (const Stored& frame : encoded.value()) {
      if (!decoder.decode(frame.codec, frame.bytes, out.span().subspan(at, kFrameBytes)).ok())
        return state.SkipWithError("a frame does not decode");
      at += kFrameBytes;
    }
  }
  if (!bytes_equal(out.span(), data.span())) state.SkipWithError("other bytes came back");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kSegmentBytes));
}
BENCHMARK(decode_frames)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ashlar
