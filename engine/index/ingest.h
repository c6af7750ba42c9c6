// What a published pack has to say to the index: its footer and the block ids of its directories.
#pragma once

#include "index/index_rows.h"
#include "io/object_store.h"

namespace ashlar {

struct IngestedPack {
  PackRows rows;
  // Segments whose directories are damaged: their places are known from the footer, their hooks are not.
  std::uint64_t damaged_segments = 0;
};

// An error when header or footer can't be read: the pack can't be used.
Result<IngestedPack> ingest_pack(ObjectStore& objects, PackKind kind, const PackId& pack);

}  // namespace ashlar
