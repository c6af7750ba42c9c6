// Hydrator: brings the absent blocks of a volume into its overlay, front to back, until the volume no longer
// needs the store. Foreground reads go first: while they miss, it waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "volume/volume.h"

namespace ashlar {

struct HydrateOptions {
  std::uint64_t bytes_per_second = 0;  // 0: as fast as it goes
  bool yields = false;                 // waits while readers of any volume miss, and while traces are fetched
};

// Read by another thread meanwhile.
struct HydrateProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};     // present or fetched
  std::atomic<std::uint64_t> fetched_bytes{0};  // that were absent
};

// Ok when no block is absent any more, and that is durable. Stopped or failed, what was fetched stays and the
// next run goes on from there.
Status hydrate(Volume& volume, const HydrateOptions& options, HydrateProgress& progress,
               const std::stop_token& stop);

}  // namespace ashlar
