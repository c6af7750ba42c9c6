// The ingest of a published pack: what its footer and the block ids in its directories tell the index.
// Internal to the module.
#pragma once

#include "index/index_rows.h"
#include "io/object_store.h"

namespace ashlar {

struct IngestedPack {
  PackRows rows;
  // The number of segments with a damaged directory: the footer gives their places, but their hooks are
  // unknown.
  std::uint64_t damaged_segments = 0;
};

// Reads header, trailer, and directories and footer together: three reads of a pack of any kind. Fails when
// one of them can't be read: such a pack can't be used.
Result<IngestedPack> ingest_pack(ObjectStore& objects, PackKind kind, const PackId& pack,
                                 std::uint32_t hook_rate);

}  // namespace ashlar
