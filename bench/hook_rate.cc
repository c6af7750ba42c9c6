// Measures what the rate of hooks costs in the index, and what it finds (docs/decisions/hook-rate.md).
//
//   hook_rate FIRST SECOND [DIRECTORY]
//
// For each rate, the raw image FIRST is admitted into an empty store and then SECOND, an image that is
// related to it. Prints the size of the index on the disk after FIRST, and how many of the blocks of SECOND
// that FIRST has were found: duplicates, without those within SECOND and the blocks of zeros.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <unordered_set>
#include <vector>

#include "codec/hash.h"
#include "index/index.h"
#include "io/local_object_store.h"
#include "store/admission.h"
#include "store/pack_appender.h"

namespace ashlar {
namespace {

namespace fs = std::filesystem;
using Blocks = std::unordered_set<BlockId, IdHash>;

constexpr std::uint32_t kFrameBlocks = 16;

// Calls `take` with the blocks of an image that are not zeros, in groups of at most 4 MiB.
Status each_leaf(
    const std::string& image,
    const std::function<Status(std::span<const BlockId>, std::span<const std::byte* const>)>& take) {
  const auto file = TRY(posix_file_system().open(image, ReadMode::kCached));
  const std::uint64_t size = TRY(file->size());
  AlignedBuffer buffer(kLeafBytes);
  for (std::uint64_t at = 0; at < size; at += kLeafBytes) {
    const std::size_t got = TRY(file->read_at(at, buffer.span()));
    std::vector<BlockId> ids;
    std::vector<const std::byte*> data;
    for (std::size_t offset = 0; offset + kBlockBytes <= got; offset += kBlockBytes) {
      const ByteSpan block = buffer.span().subspan(offset, kBlockBytes);
      if (is_zero(block)) continue;
      ids.push_back(block_id(block));
      data.push_back(block.data());
    }
    if (!ids.empty()) TRY(take(ids, data));
  }
  return {};
}

// Stores an image and returns the number of blocks that were new.
Result<std::uint64_t> store(ObjectStore& objects, Index& index, const std::string& image) {
  FrameEncoder encoder(1);
  PackAppender appender(objects, index, StoreId{}, SessionId{});
  SegmentReader segments(objects, index);
  LeanedPacks leaned(objects, SessionId{});
  Admission admission(index, segments, leaned, [&](SealedSegment segment) -> Status {
    return appender.append(TRY(encode_segment(segment, kFrameBlocks, encoder)));
  });
  std::vector<BlockPlace> places;
  TRY(each_leaf(image, [&](auto ids, auto data) {
    places.resize(ids.size());
    return admission.admit(ids, data, places);
  }));
  TRY(admission.seal());
  TRY(appender.publish());
  TRY(index.flush());
  return admission.counters().new_blocks;
}

Status measure(const std::string& first, const std::string& second, const std::string& directory) {
  Blocks in_first;
  TRY(each_leaf(first, [&](auto ids, auto) -> Status {
    in_first.insert(ids.begin(), ids.end());
    return {};
  }));
  Blocks in_second;
  TRY(each_leaf(second, [&](auto ids, auto) -> Status {
    in_second.insert(ids.begin(), ids.end());
    return {};
  }));
  const auto is_shared = [&](const BlockId& id) { return in_first.contains(id); };
  const auto shared = static_cast<std::uint64_t>(std::ranges::count_if(in_second, is_shared));
  fmt::print("{} blocks in the first image, {} in the second, {} in both\n", in_first.size(),
             in_second.size(), shared);
  for (const std::uint32_t rate : {16U, 32U, 64U, 128U}) {
    fs::remove_all(directory);
    fs::create_directories(directory + "/store");
    LocalObjectStore objects(posix_file_system(), directory + "/store");
    const auto index = TRY(Index::open(directory + "/index", objects, rate));
    TRY(store(objects, *index, first));
    const IndexStats stats = TRY(index->stats());
    const std::uint64_t added = TRY(store(objects, *index, second));
    const std::uint64_t missed = added - (in_second.size() - shared);
    fmt::print(
        "1 of {:3}: index {:8} B after the first image, {:7} hooks; {} of {} duplicates found: {:.3f} %\n",
        rate, stats.disk_bytes, stats.hooks, shared - missed, shared,
        100.0 * static_cast<double>(shared - missed) /
            static_cast<double>(std::max<std::uint64_t>(1, shared)));
  }
  fs::remove_all(directory);
  return {};
}

}  // namespace
}  // namespace ashlar

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() < 2 || words.size() > 3) {
    fmt::print(stderr, "usage: hook_rate FIRST SECOND [DIRECTORY]\n");
    return 2;
  }
  const std::string directory =
      words.size() == 3 ? words[2] : fmt::format("/tmp/ashlar-hook-rate-{}", ::getpid());
  const auto measured = ashlar::measure(words[0], words[1], directory);
  if (!measured.ok()) fmt::print(stderr, "hook_rate: {}\n", measured.error().text());
  return measured.ok() ? 0 : 1;
}
