// Boot packs: making one from a trace, and loading one into the caches that reads go through.
//
// Loading adds no way of reading: nodes, directories and frames are put, verified, where a fetch would have
// put them, and reads find them there.
#pragma once

#include <functional>
#include <stop_token>

#include "io/object_store.h"
#include "store/frame_cache.h"
#include "store/meta_store.h"
#include "volume/base_image.h"
#include "volume/trace.h"

namespace ashlar {

// What loading and making work on; all of one store, and shared by the process.
struct WarmParts {
  ObjectStore& objects;
  MetaStore& nodes;
  SegmentReader& segments;
  FrameCache& frames;
};

struct MadeBootPack {
  BootPackId id;
  std::uint64_t bytes = 0;  // 0: there was nothing to put into it, and there is no object
};

// Writes the boot pack of these regions, in their order; past kMaxBootPackBytes the rest is left out.
Result<MadeBootPack> make_boot_pack(const WarmParts& parts, const BaseImage& image, const StoreId& store,
                                    const RegionOrder& order);

// Reads it with two reads, and fills the caches; `arrived` is told of each region for which all is there.
// What is damaged, and what lies behind that, is left out: an error says so, and harms nothing.
Status load_boot_pack(const WarmParts& parts, const TraceRecord& trace,
                      const std::function<void(std::uint64_t region)>& arrived, const std::stop_token& stop);

}  // namespace ashlar
