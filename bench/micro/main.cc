// micro: what the hot parts cost alone. --benchmark_filter=NAME chooses; docs/performance.md has a run.
#include <benchmark/benchmark.h>
#include <malloc.h>

int main(int argc, char** argv) {
  // As the program does it (tools/program/main.cc): segments are not given back to the system between uses.
  (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);   // NOLINT(concurrency-mt-unsafe): there are no threads yet
  (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);  // NOLINT(concurrency-mt-unsafe): the same
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
