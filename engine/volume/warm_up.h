// WarmUp: one serving of a volume, and what its first reads are good for. Before them: what earlier servings
// read is fetched ahead, from the boot pack if there is one. After them: what this one read is merged into
// the trace of the snapshot, and the boot pack made anew when that brought much news.
//
// Nothing here ever fails a read or the serving: whatever goes wrong costs time alone. One thread calls
// run(), and stop ends it; finish() comes after that.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <unordered_map>

#include "catalog/snapshots.h"
#include "catalog/traces.h"
#include "volume/boot_pack.h"
#include "volume/volume.h"

namespace ashlar {

// The boot packs that a process has loaded, so that ten machines of one image read one once. Any number of
// threads.
class BootPackLoads {
 public:
  // Waits when another thread is loading it, and hears of regions only when it loads by itself.
  Status load(const WarmParts& parts, const TraceRecord& trace,
              const std::function<void(std::uint64_t region)>& arrived, const std::stop_token& stop);

 private:
  std::mutex mutex_;
  // Whoever loads a pack holds its mutex.
  struct Load {
    std::mutex mutex;
    bool is_done = false;
  };
  std::unordered_map<BootPackId, std::shared_ptr<Load>, IdHash> loads_;
};

class WarmUp {
 public:
  struct Counters {
    std::atomic<std::uint64_t> expected_regions{0};  // of 64 KiB
    std::atomic<std::uint64_t> fetched_regions{0};   // of them, so far
    std::atomic<bool> from_boot_pack{false};
  };

  // Volume and parts outlive this. `base`: what the volume stands on now; `owner`: whose volume it is, value
  // 0 the store's own account.
  WarmUp(WarmParts parts, const SnapshotCatalog& snapshots, BootPackLoads& loads, FetchGate& gate,
         Volume& volume, std::shared_ptr<const BaseImage> base, StoreId store, AccountId owner);

  // Before the first read: reads the trace, and from then on expects what it names.
  void prepare();
  // Fetches ahead, then waits until the first reads have settled, and notes them. Ends when asked to.
  void run(const std::stop_token& stop);
  // Notes what was read so far, unless that was done.
  void finish();

  const Counters& counters() const { return counters_; }

 private:
  RegionOrder expected();
  void fetch_ahead(const RegionOrder& order, const std::stop_token& stop);
  Status publish(const RegionOrder& reads);
  Status publish_once(const RegionOrder& reads);

  const WarmParts parts_;
  const SnapshotCatalog& snapshots_;
  TraceCatalog traces_;
  BootPackLoads& loads_;
  FetchGate& gate_;
  Volume& volume_;
  const std::shared_ptr<const BaseImage> base_;
  const StoreId store_;
  const AccountId owner_;
  std::optional<TraceRecord> trace_;
  bool boot_pack_is_bad_ = false;  // it could not be loaded whole: another is made at the next occasion
  Counters counters_;
};

}  // namespace ashlar
