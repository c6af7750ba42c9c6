// Hydrator: brings the absent blocks of a volume into its overlay, from the first to the last, until the
// volume does not need the store. Foreground reads go first: while they miss, it waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <stop_token>

#include "volume/volume.h"

namespace ashlar {

struct HydrateOptions {
  std::uint64_t bytes_per_second = 0;  // 0: no limit
  bool yields = false;                 // wait while readers of any volume miss, and while traces are fetched
};

// Progress that another thread may read during the run.
struct HydrateProgress {
  std::atomic<std::uint64_t> total_bytes{0};
  std::atomic<std::uint64_t> done_bytes{0};     // present or fetched
  std::atomic<std::uint64_t> fetched_bytes{0};  // bytes of blocks that were absent
};

// Fetches all absent blocks, and succeeds when the overlay durably holds every block. When it is stopped or
// fails, the blocks fetched so far stay, and the next run goes on from there.
Status hydrate(Volume& volume, const HydrateOptions& options, HydrateProgress& progress,
               const std::stop_token& stop);

}  // namespace ashlar
