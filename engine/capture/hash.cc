#include "capture/hash.h"

#include <algorithm>

#include "codec/hash.h"

namespace ashlar {
namespace {

void mark(const std::vector<BlockRange>& ranges, const BlockMark& as, Lba first,
          std::vector<BlockMark>& marks) {
  for (const BlockRange& range : ranges) {
    for (Lba lba = range.first; lba < range.end(); lba += BlockCount{1}) marks[(lba - first).value] = as;
  }
}

bool was_read(const BlockMark& mark) {
  return mark != unreadable_block_mark() && mark != unchanged_block_mark();
}

HashedRegion hash_region(ByteSpan bytes, std::span<BlockMark> marks, const RegionHash* parent_hash,
                         const RegionSecret& secret) {
  HashedRegion region;
  if (std::all_of(marks.begin(), marks.end(), was_read)) {
    if (is_zero(bytes)) {
      region.state = RegionState::kZero;
      return region;
    }
    region.has_hash = true;
    region.hash = region_hash(bytes, secret);
    if (parent_hash != nullptr && *parent_hash == region.hash) {
      region.state = RegionState::kSame;
      return region;
    }
  }
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (!was_read(marks[i])) continue;
    const ByteSpan block = bytes.subspan(i * kBlockBytes, kBlockBytes);
    marks[i] = is_zero(block) ? zero_block_mark() : block_mark(block);
  }
  return region;
}

}  // namespace

std::uint32_t HashedRun::marked_blocks() const {
  std::uint32_t count = 0;
  for (const BlockMark& mark : marks) count += mark != zero_block_mark() && was_read(mark) ? 1 : 0;
  return count;
}

HashedRun hash_run(Run run, Plan::RunPlace place, const RegionSecret& secret, bool trust_regions) {
  HashedRun hashed{std::move(run), std::move(place.leaf), place.first_block, {}, {}};
  const ByteSpan bytes = hashed.run.bytes;
  hashed.marks.resize(hashed.block_count());
  const Lba first_lba = lba_of(hashed.run.offset);
  mark(hashed.run.unreadable, unreadable_block_mark(), first_lba, hashed.marks);
  mark(hashed.run.unchanged, unchanged_block_mark(), first_lba, hashed.marks);
  for (std::size_t first = 0; first < hashed.marks.size(); first += kRegionBlocks) {
    const std::size_t count = std::min<std::size_t>(kRegionBlocks, hashed.marks.size() - first);
    const Leaf* parent = trust_regions ? hashed.leaf->parent.get() : nullptr;
    const RegionHash* known =
        parent != nullptr ? parent->region((hashed.first_block + first) / kRegionBlocks) : nullptr;
    hashed.regions.push_back(hash_region(bytes.subspan(first * kBlockBytes, count * kBlockBytes),
                                         std::span(hashed.marks).subspan(first, count), known, secret));
  }
  return hashed;
}

}  // namespace ashlar
