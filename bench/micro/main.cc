// micro: what the critical parts cost alone. --benchmark_filter=NAME chooses; docs/performance.md has a run.
#include <benchmark/benchmark.h>
#include <malloc.h>

int main(int argc, char** argv) {
  // Sets malloc as the program does (tools/program/main.cc): the memory of segments is kept between uses.
  (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);   // NOLINT(concurrency-mt-unsafe): no other thread runs yet
  (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);  // NOLINT(concurrency-mt-unsafe): as above
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
