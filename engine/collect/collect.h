// Collect: frees the space of what no snapshot needs, while captures, restores, volumes and other collections
// run. Nothing waits for it.
//
//   1. the packs are listed, then the sessions, then the snapshots, whose nodes are all read: what lives
//   2. packs without anything that lives are condemned; of those with little, that is moved to new packs
//      first
//   3. from then on no writer leans on a condemned pack anew, and each says which it leans on already
//   4. what lives is marked again: whatever became a snapshot meanwhile keeps its packs
//   5. each pack that is left is compared with the packs that stay, and removed
//
// A condemned pack is one that the list in `collect/` names; format/collection_record.h tells of the steps.
// Killed at any of them, the next collection goes on or begins anew.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "catalog/sessions.h"
#include "catalog/snapshots.h"
#include "collect/collection_plan.h"
#include "document/store_config.h"
#include "index/index.h"
#include "store/damaged_frames.h"

namespace ashlar {

inline constexpr unsigned kMaxLivePercent = 80;  // below it a pack of a directory is rewritten

struct CollectParts {
  const StoreConfig& config;
  ObjectStore& objects;
  Index& index;
  DamagedFrames& damage;
};

struct CollectOptions {
  unsigned max_live_percent = kMaxLivePercent;  // packs of which less is needed are rewritten; 0 to 100
  int level = 0;                                // zstd level of what is rewritten; 0: as it is stored
  std::uint64_t bytes_per_second = 0;           // read and written; 0: no limit
  // While writers have not seen the list of condemned packs, each is looked at so often; one that does not
  // beat for so many looks is taken away.
  std::chrono::milliseconds look_every{100};
  unsigned silent_looks = 10 * 60 * 10;  // 10 minutes
  unsigned threads = 0;                  // 0: one per processor
  // Called once, with a writer that is waited for.
  std::function<void(const SessionRecord&)> on_wait;
};

struct CollectProgress {
  std::atomic<std::uint64_t> total_bytes{0};  // of the packs to judge
  std::atomic<std::uint64_t> done_bytes{0};
  std::atomic<std::uint64_t> waiting_for{0};  // writers that have not seen the list yet
};

struct CollectReport {
  CollectionPlan plan;
  std::uint64_t nodes = 0;  // unique nodes that were read
  std::uint64_t freed_packs = 0;
  std::uint64_t freed_bytes = 0;
  std::uint64_t written_bytes = 0;  // to new packs
  std::uint64_t kept_packs = 0;     // condemned, and needed after all
  bool was_full = false;            // the disk was too full to rewrite all that the plan says
  std::vector<std::string> warnings;
};

// Says what a collection would do, and changes nothing.
Result<CollectReport> plan_collection_of(const CollectParts& parts, const CollectOptions& options,
                                         CollectProgress& progress, const std::stop_token& stop);

// Collects. Fails with kBusy while another collection runs. Fails, and frees nothing, when a snapshot, a node
// or a session can't be read: it may need anything.
Result<CollectReport> collect(const CollectParts& parts, const CollectOptions& options,
                              CollectProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
