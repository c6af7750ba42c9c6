#include "volume/warm_up.h"

#include <chrono>
#include <condition_variable>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/threads.h"

namespace ashlar {
namespace {

constexpr int kThreads = 16;         // fetchers of a trace without a boot pack: hides a store's latency
constexpr int kAncestors = 8;        // how far back a snapshot without a trace looks for one
constexpr std::size_t kOthers = 16;  // most traces of other snapshots to compare with
constexpr std::size_t kFewestReads = 16;
constexpr double kMuchNews = 0.05;  // share of new regions that makes a new boot pack worth while
constexpr int kAttempts = 5;        // tries of a merge, when other servings end at the same time
constexpr std::chrono::milliseconds kWatchPause{500};
// A read waits for a fetch in progress as long as this many requests to the store take, and a second at most.
constexpr double kWaitRequests = 20;
constexpr double kMostWaitSeconds = 1;

// Waits for kWatchPause and returns false once a stop was requested.
bool pause(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, kWatchPause, [] { return false; });
  return !stop.stop_requested();
}

// Appends the regions of `more` that `order` does not have yet.
void append_new(RegionOrder& order, const RegionOrder& more) {
  std::unordered_set<std::uint64_t> seen(order.begin(), order.end());
  for (const std::uint64_t region : more) {
    if (order.size() >= kMaxTraceRegions) return;
    if (seen.insert(region).second) order.push_back(region);
  }
}

}  // namespace

Status BootPackLoads::load(const WarmParts& parts, const TraceRecord& trace,
                           const std::function<void(std::uint64_t)>& arrived, const std::stop_token& stop) {
  std::shared_ptr<Load> load;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = loads_[trace.boot_pack];
    if (!entry) entry = std::make_shared<Load>();
    load = entry;
  }
  const std::lock_guard one_at_a_time(load->mutex);
  if (load->is_done) return {};
  TRY(load_boot_pack(parts, trace, arrived, stop));
  load->is_done = true;
  return {};
}

WarmUp::WarmUp(WarmParts parts, const SnapshotCatalog& snapshots, BootPackLoads& loads, FetchGate& gate,
               Volume& volume, std::shared_ptr<const BaseImage> base, StoreId store, AccountId owner)
    : parts_(parts),
      snapshots_(snapshots),
      traces_(parts.objects, owner),
      loads_(loads),
      gate_(gate),
      volume_(volume),
      base_(std::move(base)),
      store_(store),
      owner_(owner) {}

void WarmUp::prepare() {
  const double began = monotonic_seconds();
  auto trace = traces_.get(base_->id());
  if (!trace.ok() || !trace.value() || trace.value()->boot_pack.is_zero()) {
    if (trace.ok()) trace_ = trace.take();
    return;
  }
  trace_ = trace.take();
  const double limit = std::min(kMostWaitSeconds, kWaitRequests * (monotonic_seconds() - began));
  volume_.expected_reads().begin(order_of(*trace_), std::chrono::duration<double>(limit));
}

void WarmUp::run(const std::stop_token& stop) {
  {
    const auto ahead = gate_.expected();
    if (trace_ && !trace_->boot_pack.is_zero()) {
      const Status loaded = loads_.load(
          parts_, *trace_, [this](std::uint64_t region) { volume_.expected_reads().arrived(region); }, stop);
      counters_.from_boot_pack = loaded.ok();
      boot_pack_is_bad_ = !loaded.ok() && loaded.error().code() != ErrorCode::kCancelled;
      volume_.expected_reads().end();
    }
    fetch_ahead(expected(), stop);
  }
  while (!volume_.first_reads().has_settled(monotonic_seconds())) {
    if (!pause(stop)) return;
  }
  finish();
}

// Returns the regions to expect: from the trace of the snapshot itself; else from the trace of its nearest
// traced ancestor, by place, and from traces of other snapshots, by content.
RegionOrder WarmUp::expected() {
  if (trace_) return order_of(*trace_);
  RegionOrder order;
  std::unordered_set<SnapshotId, IdHash> used;
  auto record = snapshots_.get(base_->id());
  for (int i = 0; i < kAncestors && record.ok() && record.value().parent.value != 0; ++i) {
    const SnapshotId parent = record.value().parent;
    auto trace = traces_.get(parent);
    if (trace.ok() && trace.value()) {
      used.insert(parent);
      append_new(order, order_of(*trace.value()));
      break;
    }
    record = snapshots_.get(parent);
  }
  auto others = traces_.list();
  if (!others.ok()) return order;
  if (others.value().size() > kOthers) others.value().resize(kOthers);
  for (const SnapshotId other : others.value()) {
    if (used.contains(other)) continue;
    auto trace = traces_.get(other);
    if (!trace.ok() || !trace.value()) continue;
    auto more = expected_by_content(parts_.nodes, base_->root(), *trace.value());
    if (more.ok()) append_new(order, more.value());
  }
  return order;
}

void WarmUp::fetch_ahead(const RegionOrder& order, const std::stop_token& stop) {
  counters_.expected_regions = order.size();
  const std::uint64_t blocks = blocks_covering(volume_.size()).value;
  std::atomic<std::size_t> next{0};
  const auto fetch = [&] {
    for (std::size_t at = next++; at < order.size() && !stop.stop_requested(); at = next++) {
      const std::uint64_t first = order[at] * kTraceRegionBlocks;
      if (first >= blocks) continue;
      const BlockCount count{std::min(kTraceRegionBlocks, blocks - first)};
      // A failure here is not a failure of a reader: a read of the region asks the store itself.
      (void)volume_.fetch({Lba{first}, count}).ok();
      ++counters_.fetched_regions;
    }
  };
  // The content of a boot pack is in memory: one thread moves it without taking a machine's processors.
  const int threads = counters_.from_boot_pack ? 1 : kThreads;
  std::vector<std::jthread> fetchers;
  for (int i = 0; i < threads; ++i) {
    auto started = try_start_thread(fetch);
    if (!started.ok()) {
      fetch();  // with the threads that could be started
      break;
    }
    fetchers.push_back(started.take());
  }
}

void WarmUp::finish() {
  const RegionOrder reads = volume_.first_reads().take();
  if (reads.size() < kFewestReads) return;
  best_effort(publish(reads));
}

Status WarmUp::publish(const RegionOrder& reads) {
  Status last;
  for (int i = 0; i < kAttempts; ++i) {
    last = publish_once(reads);
    if (last.ok() || last.error().code() != ErrorCode::kBusy) return last;
  }
  return last;
}

Status WarmUp::publish_once(const RegionOrder& reads) {
  std::optional<TraceRecord> before;
  auto found = traces_.get(base_->id());
  if (is(found, ErrorCode::kCorrupt)) {
    TRY(traces_.forget(base_->id()));
  } else {
    before = TRY(std::move(found));
  }
  TraceRecord start;
  if (before) start = *before;
  start.snapshot = base_->id();
  start.store = store_;
  start.owner = owner_.value;
  TraceRecord now = merged(start, reads);
  TRY(note_content(parts_.nodes, base_->root(), now));
  const bool makes_pack = now.boot_pack.is_zero() || boot_pack_is_bad_ || news(start, now) > kMuchNews;
  if (makes_pack) {
    const MadeBootPack made = TRY(make_boot_pack(parts_, *base_, store_, order_of(now)));
    now.boot_pack = made.bytes == 0 ? BootPackId{} : made.id;
    now.pack_bytes = made.bytes;
  }
  Status replaced = traces_.replace(before, now);
  const BootPackId& loser = replaced.ok() ? start.boot_pack : now.boot_pack;
  if (makes_pack && !loser.is_zero()) best_effort(traces_.remove_boot_pack(base_->id(), loser));
  // The snapshot may have been deleted meanwhile; then only this call can remove its trace.
  if (replaced.ok()) {
    const auto still_there = snapshots_.get(base_->id());
    if (is(still_there, ErrorCode::kNotFound)) return traces_.remove(base_->id());
  }
  return replaced;
}

}  // namespace ashlar
