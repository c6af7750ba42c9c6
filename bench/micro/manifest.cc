// Building, incrementing and comparing manifests with nodes in memory: what the trees themselves cost.
//
// Leaves are synthetic: 4 MiB of unique data each, in one segment, with 64 region hashes. The counters say
// what a store would have to write or read.
#include <benchmark/benchmark.h>

#include "support/synthetic_tree.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kOneTibLeaves = 262'144;
constexpr std::uint64_t kChanges = 16;

// A writer that counts bytes and drops the nodes: a build reads no node back.
class NullWriter : public NodeWriter {
 public:
  Status put(const NodeId& id, ByteSpan encoding) override {
    benchmark::DoNotOptimize(id);
    bytes += encoding.size();
    return {};
  }
  std::uint64_t bytes = 0;
};

void build_one_tib(benchmark::State& state) {
  MemoryNodes nodes;
  NullWriter writer;
  BuildCounters counters;
  Leaf leaf = synthetic_leaf(0);
  for (auto _ : state) {
    ManifestBuilder builder(nodes, writer, BlockCount{kOneTibLeaves * kLeafBlocks}, std::nullopt);
    for (std::uint64_t i = 0; i < kOneTibLeaves; ++i) {
      std::memcpy(leaf.segments[0].bytes.data(), &i, sizeof i);
      std::memcpy(leaf.digest.bytes.data(), &i, sizeof i);
      if (!builder.add_leaf(leaf).ok()) return state.SkipWithError("add_leaf failed");
    }
    if (!builder.finish().ok()) return state.SkipWithError("finish failed");
    counters = builder.counters();
  }
  state.counters["nodes"] = static_cast<double>(counters.nodes_written);
  state.counters["node_bytes"] = static_cast<double>(counters.node_bytes_written);
  state.counters["leaves/s"] =
      benchmark::Counter(static_cast<double>(kOneTibLeaves), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(build_one_tib)->Unit(benchmark::kMillisecond);

// Builds an increment of 64 TiB that replaces one leaf in a million and keeps all others.
Result<TreeRoot> change_sixteen(MemoryNodes& nodes, const TreeRoot& parent, BuildCounters& counters) {
  ManifestBuilder builder(nodes, nodes, parent.blocks, parent);
  for (std::uint64_t i = 0; i < kChanges; ++i) {
    TRY(builder.keep(i * 1'000'003 + 17 - builder.next()));
    TRY(builder.add_leaf(synthetic_leaf(1'000'000 + i)));
  }
  TRY(builder.keep(leaf_count(parent.blocks) - builder.next()));
  const TreeRoot root = TRY(builder.finish());
  counters = builder.counters();
  return root;
}

void increment_of_64_tib(benchmark::State& state) {
  MemoryNodes nodes;
  const TreeRoot parent = build_synthetic_64_tib(nodes).take();
  BuildCounters counters;
  for (auto _ : state) {
    if (!change_sixteen(nodes, parent, counters).ok()) return state.SkipWithError("build failed");
  }
  state.counters["nodes"] = static_cast<double>(counters.nodes_written);
  state.counters["node_bytes"] = static_cast<double>(counters.node_bytes_written);
}
BENCHMARK(increment_of_64_tib)->Unit(benchmark::kMicrosecond);

void diff_of_64_tib(benchmark::State& state) {
  MemoryNodes nodes;
  const TreeRoot parent = build_synthetic_64_tib(nodes).take();
  BuildCounters built;
  const TreeRoot child = change_sixteen(nodes, parent, built).take();
  SyntheticMarks ids;
  DiffCounters counters;
  std::uint64_t blocks = 0;
  const auto visit = [&](BlockRange range) -> Status {
    blocks += range.count.value;
    return {};
  };
  for (auto _ : state) {
    counters = {};
    blocks = 0;
    if (!diff_trees(nodes, ids, parent, child, visit, &counters).ok())
      return state.SkipWithError("diff failed");
  }
  state.counters["nodes_read"] = static_cast<double>(counters.nodes_read);
  state.counters["blocks"] = static_cast<double>(blocks);
}
BENCHMARK(diff_of_64_tib)->Unit(benchmark::kMicrosecond);

void walk_256_gib(benchmark::State& state) {
  MemoryNodes nodes;
  const TreeRoot root = build_synthetic(nodes, leaves_below(2)).take();
  for (auto _ : state) {
    LeafCursor cursor(nodes, root);
    for (std::uint64_t i = 0; i < leaves_below(2); ++i) {
      const auto span = cursor.at(i);
      if (!span.ok() || !cursor.load(span.value()).ok()) return state.SkipWithError("walk failed");
    }
  }
  state.counters["leaves/s"] =
      benchmark::Counter(static_cast<double>(leaves_below(2)), benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(walk_256_gib)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ashlar
