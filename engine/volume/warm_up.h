// WarmUp: uses and updates the trace of a snapshot for one serving of a volume. Before the first reads:
// fetches ahead what earlier servings read, from the boot pack if there is one. After them: merges what this
// serving read into the trace of the snapshot, and makes a new boot pack when many regions are new.
//
// A failure here costs time only; it never fails a read or the serving. One thread calls run(), and stop ends
// it; finish() comes after that.
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
  // Loads a boot pack unless that was done. Waits while another thread loads it; `arrived` is called only
  // when this call loads it itself.
  Status load(const WarmParts& parts, const TraceRecord& trace,
              const std::function<void(std::uint64_t region)>& arrived, const std::stop_token& stop);

 private:
  std::mutex mutex_;
  // The state of one boot pack. The thread that loads the pack holds its mutex.
  struct Load {
    std::mutex mutex;
    bool is_done = false;
  };
  std::unordered_map<BootPackId, std::shared_ptr<Load>, IdHash> loads_;
};

class WarmUp {
 public:
  struct Counters {
    std::atomic<std::uint64_t> expected_regions{0};  // regions of 64 KiB
    std::atomic<std::uint64_t> fetched_regions{0};   // of the expected ones, so far
    std::atomic<bool> from_boot_pack{false};
  };

  // Prepares one serving. Volume and parts outlive it. `base` is the base of the volume at this time; `owner`
  // is the account of the volume, value 0 the store's own account.
  WarmUp(WarmParts parts, const SnapshotCatalog& snapshots, BootPackLoads& loads, FetchGate& gate,
         Volume& volume, std::shared_ptr<const BaseImage> base, StoreId store, AccountId owner);

  // Reads the trace before the first read of the volume, and from then on expects its regions when it names a
  // boot pack.
  void prepare();
  // Fetches ahead, then waits until the first reads have settled, and notes them. Ends early when stop is
  // requested.
  void run(const std::stop_token& stop);
  // Notes what was read so far, unless that was done before.
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
  bool boot_pack_is_bad_ = false;  // it could not be loaded completely: the next publication makes another
  Counters counters_;
};

}  // namespace ashlar
