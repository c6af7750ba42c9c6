// Boot packs: making one from a trace, and loading one into the caches that reads go through.
// Internal to the module.
//
// Loading adds no second way to read: nodes, directories and frames are verified and put where a fetch would
// have put them, and reads find them there.
#pragma once

#include <functional>
#include <stop_token>

#include "io/object_store.h"
#include "store/frame_cache.h"
#include "store/meta_store.h"
#include "volume/base_image.h"
#include "volume/trace.h"

namespace ashlar {

// The parts of one store that loading and making work on; the process shares them.
struct WarmParts {
  ObjectStore& objects;
  MetaStore& nodes;
  SegmentReader& segments;
  FrameCache& frames;
};

struct MadeBootPack {
  BootPackId id;
  std::uint64_t bytes = 0;  // 0 when there was nothing to put into it; then there is no object
};

// Writes the boot pack of these regions, in their order, and leaves out the regions that would exceed
// kMaxBootPackBytes.
Result<MadeBootPack> make_boot_pack(const WarmParts& parts, const BaseImage& image, const StoreId& store,
                                    const RegionOrder& order);

// Reads a boot pack with two reads and fills the caches; calls `arrived` for each region whose parts are all
// there. Fails at the first damaged item and leaves out what follows it; the caches hold verified parts only,
// so the failure does no harm.
Status load_boot_pack(const WarmParts& parts, const TraceRecord& trace,
                      const std::function<void(std::uint64_t region)>& arrived, const std::stop_token& stop);

}  // namespace ashlar
