// The hash ladder: each of its steps alone, and whole runs as a capture passes them to it.
#include "capture/hash.h"

#include <benchmark/benchmark.h>

#include <algorithm>

#include "codec/hash.h"
#include "disk_like.h"

namespace ashlar {
namespace {

RegionSecret fixed_secret() {
  RegionSecret secret;
  std::fill(secret.span().begin(), secret.span().end(), std::byte{0x5a});
  return secret;
}
const RegionSecret kSecret = fixed_secret();

AlignedBuffer zeros(std::size_t bytes) {
  AlignedBuffer buffer(bytes);
  std::fill(buffer.data(), buffer.data() + bytes, std::byte{0});
  return buffer;
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(each));
}

void zero_test_of_64_kib(benchmark::State& state) {
  const AlignedBuffer region = zeros(kRegionBytes);
  for (auto _ : state) {
    if (!is_zero(region.span())) return state.SkipWithError("zeros are not found to be zeros");
    benchmark::ClobberMemory();
  }
  count_bytes(state, kRegionBytes);
}
BENCHMARK(zero_test_of_64_kib);

void region_hash_of_64_kib(benchmark::State& state) {
  const AlignedBuffer region = disk_like(kRegionBytes);
  const RegionHash expected = region_hash(region.span(), kSecret);
  for (auto _ : state) {
    if (region_hash(region.span(), kSecret) != expected) return state.SkipWithError("another hash");
    benchmark::ClobberMemory();
  }
  count_bytes(state, kRegionBytes);
}
BENCHMARK(region_hash_of_64_kib);

void xxh3_128_of_64_kib(benchmark::State& state) {
  const AlignedBuffer region = disk_like(kRegionBytes);
  const Checksum128 expected = checksum128(region.span(), 7);
  for (auto _ : state) {
    if (checksum128(region.span(), 7) != expected) return state.SkipWithError("another hash");
    benchmark::ClobberMemory();
  }
  count_bytes(state, kRegionBytes);
}
BENCHMARK(xxh3_128_of_64_kib);

void sha256_of_a_block(benchmark::State& state) {
  const AlignedBuffer block = disk_like(kBlockBytes);
  const BlockMark expected = block_mark(block.span());
  for (auto _ : state) {
    if (block_mark(block.span()) != expected) return state.SkipWithError("another mark");
    benchmark::ClobberMemory();
  }
  count_bytes(state, kBlockBytes);
}
BENCHMARK(sha256_of_a_block);

// Returns a planned leaf whose parent has these bytes.
std::shared_ptr<const PlannedLeaf> leaf_with_parent(ByteSpan bytes) {
  auto parent = std::make_shared<Leaf>();
  parent->region_mask = UINT64_MAX;
  for (std::size_t at = 0; at < bytes.size(); at += kRegionBytes)
    parent->regions.push_back(region_hash(bytes.subspan(at, kRegionBytes), kSecret));
  auto leaf = std::make_shared<PlannedLeaf>();
  leaf->parent = std::move(parent);
  return leaf;
}

// Runs the whole ladder over 4 MiB; all regions must come out as `expected`.
void ladder(benchmark::State& state, AlignedBuffer bytes, std::shared_ptr<const PlannedLeaf> leaf,
            RegionState expected) {
  for (auto _ : state) {
    Run run;
    run.bytes = bytes.span();
    const HashedRun hashed = hash_run(std::move(run), {leaf, 0}, kSecret, true);
    const bool right = hashed.regions.size() == kLeafRegions &&
                       std::all_of(hashed.regions.begin(), hashed.regions.end(),
                                   [&](const HashedRegion& region) { return region.state == expected; });
    if (!right) return state.SkipWithError("a region is not what it should be");
  }
  count_bytes(state, kLeafBytes);
}

void ladder_over_zeros(benchmark::State& state) {
  ladder(state, zeros(kLeafBytes), std::make_shared<PlannedLeaf>(), RegionState::kZero);
}
BENCHMARK(ladder_over_zeros)->Unit(benchmark::kMicrosecond);

void ladder_over_the_parents_bytes(benchmark::State& state) {
  AlignedBuffer bytes = disk_like(kLeafBytes);
  const auto leaf = leaf_with_parent(bytes.span());
  ladder(state, std::move(bytes), leaf, RegionState::kSame);
}
BENCHMARK(ladder_over_the_parents_bytes)->Unit(benchmark::kMicrosecond);

void ladder_over_new_bytes(benchmark::State& state) {
  ladder(state, disk_like(kLeafBytes), std::make_shared<PlannedLeaf>(), RegionState::kData);
}
BENCHMARK(ladder_over_new_bytes)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ashlar
