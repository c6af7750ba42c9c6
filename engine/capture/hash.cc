#include "capture/hash.h"

#include <algorithm>

#include "codec/hash.h"

namespace ashlar {
namespace {

void mark(const std::vector<BlockRange>& ranges, const BlockId& as, Lba first, std::vector<BlockId>& ids) {
  for (const BlockRange& range : ranges) {
    for (Lba lba = range.first; lba < range.end(); lba += BlockCount{1}) ids[(lba - first).value] = as;
  }
}

bool was_read(const BlockId& id) { return id != unreadable_block_mark() && id != unchanged_block_mark(); }

HashedRegion hash_region(ByteSpan bytes, std::span<BlockId> ids, const RegionHash* parent_hash,
                         std::uint64_t seed) {
  HashedRegion region;
  if (std::all_of(ids.begin(), ids.end(), was_read)) {
    if (is_zero(bytes)) {
      region.state = RegionState::kZero;
      return region;
    }
    region.has_hash = true;
    region.hash = region_hash(bytes, seed);
    if (parent_hash != nullptr && *parent_hash == region.hash) {
      region.state = RegionState::kSame;
      return region;
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!was_read(ids[i])) continue;
    const ByteSpan block = bytes.subspan(i * kBlockBytes, kBlockBytes);
    ids[i] = is_zero(block) ? zero_block_mark() : block_id(block);
  }
  return region;
}

}  // namespace

HashedRun hash_run(Run run, Plan::RunPlace place, std::uint64_t region_seed, bool trust_regions) {
  HashedRun hashed{std::move(run), std::move(place.leaf), place.first_block, {}, {}};
  const ByteSpan bytes = hashed.run.bytes;
  hashed.ids.resize(hashed.block_count());
  const Lba first_lba = lba_of(hashed.run.offset);
  mark(hashed.run.unreadable, unreadable_block_mark(), first_lba, hashed.ids);
  mark(hashed.run.unchanged, unchanged_block_mark(), first_lba, hashed.ids);
  for (std::size_t first = 0; first < hashed.ids.size(); first += kRegionBlocks) {
    const std::size_t count = std::min<std::size_t>(kRegionBlocks, hashed.ids.size() - first);
    const Leaf* parent = trust_regions ? hashed.leaf->parent.get() : nullptr;
    const RegionHash* known =
        parent != nullptr ? parent->region((hashed.first_block + first) / kRegionBlocks) : nullptr;
    hashed.regions.push_back(hash_region(bytes.subspan(first * kBlockBytes, count * kBlockBytes),
                                         std::span(hashed.ids).subspan(first, count), known, region_seed));
  }
  return hashed;
}

}  // namespace ashlar
