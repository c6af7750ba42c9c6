#include "inspect/snapshot_disk.h"

#include <algorithm>

namespace ashlar {
namespace {

constexpr std::size_t kRunsAtOnce = 64;

bool reads_as_zeros(const BaseRun& run) {
  return run.kind == ExtentKind::kZero || run.kind == ExtentKind::kUnallocated;
}

}  // namespace

Status SnapshotDisk::read(ByteOffset offset, MutableByteSpan out) const {
  if (out.empty()) return {};
  const BlockRange range = blocks_of(offset, ByteCount{out.size()});
  if (offset.value % kBlockBytes == 0 && out.size() % kBlockBytes == 0) return image_.read(range, out);
  AlignedBuffer blocks(byte_count(range.count).value);
  TRY(image_.read(range, blocks.span()));
  std::memcpy(out.data(), blocks.data() + offset.value % kBlockBytes, out.size());
  return {};
}

// Counts blocks at the edges whole: data beside the range in such a block makes the answer false.
Result<bool> SnapshotDisk::is_blank(ByteOffset offset, ByteCount bytes) const {
  BlockRange rest = blocks_of(offset, bytes);
  if (bytes.value == 0) return true;
  while (rest.count.value > 0) {
    const std::vector<BaseRun> runs = TRY(image_.runs(rest, kRunsAtOnce));
    if (!std::ranges::all_of(runs, reads_as_zeros)) return false;
    BlockCount covered;
    for (const BaseRun& run : runs) covered += run.count;
    rest = {rest.first + covered, rest.count - covered};
  }
  return true;
}

}  // namespace ashlar
