// Measures how the index grows with unique data, and how fast it answers.
//
//   index_slope [DIRECTORY [BLOCKS…]]      default: a temporary directory; 10^7, 10^8, 2^28 (1 TiB)
//
// Synthetic packs of 16 segments of 1024 blocks (16 hooks and the first block each) and one manifest node for
// each segment are added to one index, as a capture adds them. At each number of blocks the index is flushed,
// measured and asked for:
//   run    16 hooks of one segment in one call: a duplicate run of 4 MiB
//   apart  16 hooks of 16 random segments in one call: the worst duplicates
//   new    16 hooks that it does not have: new data
// Rates are hooks per second of one thread's processor time with a warm page cache; a hook stands for 256 KiB
// of data. The size is taken once compactions have ended; `most` is the largest size seen until then.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "index/index.h"

namespace ashlar {
namespace {

constexpr std::size_t kHooksPerSegment = 1024 / kDefaultHookRate;
constexpr std::size_t kSegmentsPerPack = 16;
constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kBlocksPerTiB = 1024.0 * 1024.0 * 256.0;

class NoObjects : public ObjectStore {
 public:
  Result<std::unique_ptr<ObjectWriter>> create(std::string_view) override { return unsupported("none"); }
  Result<std::shared_ptr<ObjectReader>> open(std::string_view, ReadMode) override {
    return not_found("none");
  }
  Result<ObjectInfo> stat(std::string_view) override { return not_found("none"); }
  Status ensure_durable(std::span<const std::string>) override { return {}; }
  Status list(std::string_view, const std::function<Status(const ObjectInfo&)>&) override { return {}; }
  Status remove(std::string_view, Lasts) override { return {}; }
  Status put_if_absent(std::string_view, ByteSpan, Lasts) override { return {}; }
  Status replace(std::string_view, ByteSpan, ByteSpan, Lasts) override { return {}; }
};

template <class Id>
Id made_id(std::uint64_t kind, std::uint64_t number) {
  Id id;
  Prng prng(kind << 56U ^ number * 0x2545f4914f6cdd1dULL);
  prng.fill(id.span());
  return id;
}

BlockId made_hook(std::uint64_t kind, std::uint64_t number) {
  auto id = made_id<BlockId>(kind, number);
  id.bytes[31] &= static_cast<std::byte>(0xffU & ~(kDefaultHookRate - 1));
  return id;
}

// Returns what a segment of 1024 random blocks tells the index: the first block, then the hooks.
std::vector<BlockId> made_blocks(std::uint64_t segment) {
  std::vector<BlockId> blocks = {made_id<BlockId>(1, segment)};
  for (std::size_t i = 0; i < kHooksPerSegment; ++i)
    blocks.push_back(made_hook(2, segment * kHooksPerSegment + i));
  return blocks;
}

void add_packs(Index& index, std::uint64_t first_segment) {
  std::vector<PackedSegment> segments;
  std::vector<NodeEntry> nodes;
  for (std::uint64_t s = first_segment; s < first_segment + kSegmentsPerPack; ++s) {
    const std::uint64_t number = s % kSegmentsPerPack;
    segments.push_back({{made_id<SegmentId>(3, s), number * 2000000,
                         kSegmentsPerPack * 2000000 + number * 33896, 2000000, 33896, 1024},
                        made_blocks(s)});
    nodes.push_back({made_id<NodeId>(4, s), s % kSegmentsPerPack * 2000, 2000});
  }
  index.add_data_pack(made_id<PackId>(5, first_segment), segments).take();
  index.add_meta_pack(made_id<PackId>(6, first_segment), nodes).take();
}

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) / kMiB;
}

// Returns the processor time of this thread, which other work on the host does not affect.
double thread_seconds() {
  timespec now{};
  CHECK(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Waits until compactions leave the size alone for three seconds. Returns the largest size seen.
std::uint64_t settle(const Index& index) {
  std::uint64_t most = 0;
  std::uint64_t last = 0;
  for (int quiet = 0; quiet < 6;) {
    const std::uint64_t size = index.stats().take().disk_bytes;
    quiet = size == last ? quiet + 1 : 0;
    last = size;
    most = std::max(most, size);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return most;
}

// Calls find_hooks() for at least a second of processor time; `batch` makes the blocks of each call. Returns
// hooks per second.
template <class Batch>
double rate(const Index& index, bool present, Batch batch) {
  Prng prng(7);
  std::uint64_t asked = 0;
  std::uint64_t found = 0;
  double busy_seconds = 0;
  while (busy_seconds < 1.0) {
    const std::vector<BlockId> blocks = batch(prng);
    const double start = thread_seconds();
    const auto answers = index.find_hooks(blocks).take();
    busy_seconds += thread_seconds() - start;
    asked += answers.size();
    for (const auto& answer : answers) found += answer.has_value() ? 1U : 0U;
  }
  CHECK(found == (present ? asked : 0));
  return static_cast<double>(asked) / busy_seconds;
}

std::vector<BlockId> one_segment(Prng& prng, std::uint64_t segments) {
  std::vector<BlockId> blocks = made_blocks(prng.below(segments));
  blocks.erase(blocks.begin());
  return blocks;
}

std::vector<BlockId> random_hooks(Prng& prng, std::uint64_t kind, std::uint64_t count) {
  std::vector<BlockId> blocks;
  for (std::size_t i = 0; i < kHooksPerSegment; ++i) blocks.push_back(made_hook(kind, prng.below(count)));
  return blocks;
}

void report(const Index& index, std::uint64_t segments, double added_seconds) {
  const double resident = resident_mib();
  const std::uint64_t most = settle(index);
  const std::uint64_t hooks = segments * kHooksPerSegment;
  const double run = rate(index, true, [&](Prng& p) { return one_segment(p, segments); });
  const double apart = rate(index, true, [&](Prng& p) { return random_hooks(p, 2, hooks); });
  const double fresh = rate(index, false, [&](Prng& p) { return random_hooks(p, 8, ~std::uint64_t{0}); });
  const IndexStats stats = index.stats().take();
  const auto blocks = static_cast<double>(segments * kSegmentBlocks);
  fmt::print(
      "{:>11} {:>10} {:>12} {:>8.0f} {:>8.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>10.0f} {:>8.0f} {:>8.0f}\n",
      segments * kSegmentBlocks, hooks + segments, stats.disk_bytes,
      static_cast<double>(stats.disk_bytes) / kMiB / blocks * kBlocksPerTiB,
      static_cast<double>(most) / kMiB / blocks * kBlocksPerTiB,
      static_cast<double>(hooks + segments) / added_seconds, run, apart, fresh, resident, resident_mib());
  CHECK(std::fflush(stdout) == 0);
}

int run(const std::string& directory, const std::vector<std::uint64_t>& sizes) {
  NoObjects objects;
  auto index = Index::open(directory, objects).take();
  CHECK(index->stats().take().writable);
  fmt::print("{:>11} {:>10} {:>12} {:>8} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}\n", "blocks", "hooks",
             "index bytes", "MiB/TiB", "added/s", "run/s", "apart/s", "new/s", "RSS MiB", "asked");
  std::uint64_t segments = 0;
  double seconds = 0;
  for (const std::uint64_t blocks : sizes) {
    const double start = monotonic_seconds();
    for (; segments * kSegmentBlocks < blocks; segments += kSegmentsPerPack) add_packs(*index, segments);
    index->flush().take();
    seconds += monotonic_seconds() - start;
    report(*index, segments, seconds);
  }
  return 0;
}

}  // namespace
}  // namespace ashlar

int main(int argc, char** argv) {
  std::vector<std::uint64_t> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::stoull(argv[i]));
  if (sizes.empty()) sizes = {10'000'000, 100'000'000, std::uint64_t{1} << 28U};
  const bool given = argc > 1 && std::string(argv[1]) != "-";
  const std::string directory =
      given
          ? argv[1]
          : (std::filesystem::temp_directory_path() / ("index-slope-" + std::to_string(::getpid()))).string();
  const int code = ashlar::run(directory, sizes);
  if (!given) std::filesystem::remove_all(directory);
  return code;
}
