#include "index/index_state.h"

#include <algorithm>

#include "index/ingest.h"
#include "pack/pack_store.h"

namespace ashlar {
namespace {

constexpr int kHealsBeforeMemory = 2;
constexpr std::size_t kMaxPendingRows = kMaxMemoryHooks;  // while batches can't be written

template <class T>
bool is_damage(const Result<T>& result) {
  return is(result, ErrorCode::kCorrupt);
}

std::size_t count_rows(const PackRows& rows) {
  return 1 + rows.hooks.size() + rows.row.segments.size() + rows.row.nodes.size();
}

// Releases a lock, if there is one, for its own lifetime.
class Released {
 public:
  explicit Released(std::unique_lock<FairSharedMutex>* lock) : lock_(lock) {
    if (lock_ != nullptr) lock_->unlock();
  }
  ~Released() {
    if (lock_ != nullptr) lock_->lock();
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  std::unique_lock<FairSharedMutex>* lock_;
};

}  // namespace

// A view that can't be opened is tried again by catch_up() and by the first batch.
IndexState::IndexState(std::optional<IndexDirectory> directory, ObjectStore& objects, std::uint32_t hook_rate)
    : directory_(std::move(directory)), objects_(objects), hook_rate_(hook_rate) {
  if (!directory_) return;
  auto view = directory_->view();
  if (view.ok()) view_ = view.take();
}

IndexState::~IndexState() { write_pending(std::chrono::milliseconds(0)); }

Result<IndexState::Inventory> IndexState::inventory() const {
  std::vector<InventoryEntry> written;
  if (database() != nullptr) written = TRY(database()->inventory());
  Inventory inventory;
  inventory.reserve(written.size() + memory_.packs().size());
  auto in_memory = memory_.packs().begin();
  const auto take_memory = [&](const PackId* before) {
    for (; in_memory != memory_.packs().end() && (before == nullptr || in_memory->first < *before);
         ++in_memory) {
      // Rows that could not be kept for a batch are ingested once more when batches can be written.
      const bool is_kept = !directory_ || !can_write_ || pending_.contains(in_memory->first);
      inventory.push_back({in_memory->first, in_memory->second.kind, is_kept});
    }
  };
  for (const InventoryEntry& entry : written) {
    take_memory(&entry.pack);
    bool is_ingested = !memory_.masked().contains(entry.pack);
    if (in_memory != memory_.packs().end() && in_memory->first == entry.pack) {
      is_ingested = is_ingested || !directory_ || !can_write_ || pending_.contains(entry.pack);
      ++in_memory;
    }
    inventory.push_back({entry.pack, entry.kind, is_ingested});
  }
  take_memory(nullptr);
  return inventory;
}

Result<bool> IndexState::is_known(const PackId& pack) const { return TRY(known(pack)).has_value(); }

Result<bool> IndexState::is_kept(const PackId& pack) const {
  if (pending_.contains(pack)) return true;
  if (database() == nullptr || memory_.masked().contains(pack)) return false;
  return TRY(database()->find_pack(pack)).has_value();
}

// A pack that can't be looked at is in the list: it hides no other.
Result<std::vector<IndexState::PackKey>> IndexState::list_all(Lock* lock) {
  const Released released(lock);
  std::vector<PackKey> packs;
  for (const PackKind kind : {PackKind::kData, PackKind::kMeta}) {
    const std::string key = pack_key(kind, PackId{});
    const std::string folder = key.substr(0, key.find('/') + 1);
    TRY(objects_.list(folder, [&](const ObjectInfo& object) -> Status {
      if (const auto id = pack_of_key(object.key)) packs.emplace_back(*id, kind);
      return {};
    }));
  }
  return packs;
}

bool IndexState::is_gone(const PackId& pack, PackKind kind, Lock* lock) {
  const Released released(lock);
  return is(objects_.stat(pack_key(kind, pack)), ErrorCode::kNotFound);
}

bool IndexState::refresh() {
  if (!directory_ || directory_->stamp() == view_.stamp) return false;
  auto opened = directory_->view();
  const auto* fresh = opened.ok() ? opened.value().database.get() : nullptr;
  // The files of the present view stay open, whatever became of their names.
  if (fresh == nullptr) return false;
  const bool lacks_nothing = database() == nullptr || database()->identity() == fresh->identity();
  ++generation_;
  view_ = opened.take();
  std::vector<PackId> written;
  for (const auto& [pack, row] : memory_.packs()) {
    const auto there = database()->find_pack(pack);
    if (!there.ok()) return true;  // the caller's next read meets the damage
    if (there.value()) written.push_back(pack);
  }
  for (const PackId& pack : written) drop_written(pack);
  return !lacks_nothing;
}

Result<CatchUpReport> IndexState::catch_up() { return catch_up(Gone::kForget); }

Result<CatchUpReport> IndexState::catch_up(Gone gone) {
  const std::lock_guard one(catching_up_);
  ++catch_ups_;
  auto report = bring_up_to_date(gone);
  if (report.ok()) write_pending(kLockWait);
  return report;
}

Result<CatchUpReport> IndexState::bring_up_to_date(Gone gone) {
  std::uint64_t generation = 0;
  {
    const std::lock_guard writing(writing_);
    const Lock lock(mutex_);
    // Another database may lack rows that were answered before, so the lock is held until it has them.
    if (refresh()) incomplete_ = true;
    if (incomplete_) return complete();
    generation = generation_;
  }
  auto report = [&] {
    Lock lock(mutex_);
    return synchronise(&lock, gone);
  }();
  if (!is_damage(report)) return report;
  const std::lock_guard writing(writing_);
  const Lock lock(mutex_);
  return generation_ == generation ? heal(0) : complete();
}

Status IndexState::look_again(std::uint64_t prefix) {
  const std::uint64_t before = catch_ups_.load();
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(looked_mutex_);
    const auto* last = looked_.get(prefix);
    if (last != nullptr && now - *last < kLookAgainPause) return {};
  }
  {
    // A catch-up that began after this call and has ended saw what this one would see.
    const std::lock_guard others(catching_up_);
    if (catch_ups_.load() > before) return {};
  }
  // A store that is away for a while shows no packs: they are found as they were when it is back.
  TRY(catch_up(Gone::kKeep));
  const std::lock_guard lock(looked_mutex_);
  looked_.put(prefix, std::chrono::steady_clock::now());
  return {};
}

Error IndexState::missing(std::string text) const {
  const std::shared_lock lock(mutex_);
  if (unread_.empty()) return corrupt(std::move(text));
  text += ", of those that can be read";
  if (unread_by_medium_) return Error::from_errno(EIO, std::move(text));
  return {ErrorCode::kIo, std::move(text)};
}

Result<CatchUpReport> IndexState::rebuild() {
  const std::lock_guard one(catching_up_);
  const std::lock_guard writing(writing_);
  const Lock lock(mutex_);
  if (directory_) TRY(directory_->clear());
  auto report = heal(0);
  if (report.ok()) TRY(write_held().with_context("the index could not be written"));
  return report;
}

// The inventory is read before the packs are listed. A pack that another thread publishes and adds in between
// is only in the list, so it is never taken for a pack that is gone.
Result<CatchUpReport> IndexState::synchronise(Lock* lock, Gone gone) {
  const Inventory before = TRY(inventory());
  const std::vector<PackKey> packs = TRY(list_all(lock));
  CatchUpReport report;
  damaged_.clear();
  unread_.clear();
  unread_by_medium_ = true;
  std::vector<bool> is_listed(before.size());
  std::vector<std::pair<PackKey, bool>> unknown;  // and whether the database or the memory has rows of it
  for (const PackKey& pack : packs) {
    const auto held = std::ranges::lower_bound(before, pack.first, {}, &HeldPack::pack);
    const bool is_held = held != before.end() && held->pack == pack.first;
    if (is_held) is_listed[static_cast<std::size_t>(held - before.begin())] = true;
    if (!is_held || !held->is_ingested) unknown.emplace_back(pack, is_held);
  }
  for (std::size_t i = 0; i < before.size() && gone == Gone::kForget; ++i) {
    if (is_listed[i] || !TRY(is_known(before[i].pack)) || !is_gone(before[i].pack, before[i].kind, lock))
      continue;
    TRY(erase(before[i].pack));
    ++report.packs_gone;
  }
  for (const auto& [pack, is_held] : unknown) {
    // A batch brings what other processes have written meanwhile.
    if (TRY(is_kept(pack.first))) continue;
    const auto rows = read(pack, lock);
    if (!rows) continue;
    put(*rows);
    if (!is_held) ++report.packs_added;
    write_when_due(lock);
  }
  return report;
}

Result<CatchUpReport> IndexState::complete() {
  incomplete_ = false;
  auto report = synchronise(nullptr, Gone::kForget);
  if (is_damage(report)) return heal(0);
  if (!report.ok()) incomplete_ = true;
  return report;
}

Result<CatchUpReport> IndexState::heal(int attempt) {
  for (;; ++attempt) {
    ++generation_;
    const std::string damaged = database() == nullptr ? std::string() : database()->identity();
    view_ = {};
    memory_.clear();
    pending_.clear();
    pending_rows_ = 0;
    write_at_ = kBatchRows;
    if (attempt < kHealsBeforeMemory && directory_) {
      auto renewed = directory_->renew(damaged);
      if (renewed.ok()) view_ = renewed.take();
    }
    incomplete_ = false;
    auto report = synchronise(nullptr, Gone::kForget);
    if (is_damage(report) && database() != nullptr) continue;
    if (!report.ok()) incomplete_ = true;
    return report;
  }
}

std::optional<PackRows> IndexState::read(const PackKey& pack, Lock* lock) {
  auto ingested = [&] {
    const Released released(lock);
    return ingest_pack(objects_, pack.second, pack.first, hook_rate_);
  }();
  if (!ingested.ok()) {
    // A pack that was deleted after it was listed is not damaged.
    const ErrorCode code = ingested.error().code();
    if (code == ErrorCode::kNotFound) return std::nullopt;
    (code == ErrorCode::kCorrupt ? damaged_ : unread_).insert(pack.first);
    if (code != ErrorCode::kCorrupt && ingested.error().error_number() != EIO) unread_by_medium_ = false;
    return std::nullopt;
  }
  if (ingested.value().damaged_segments > 0) damaged_.insert(pack.first);
  return ingested.take().rows;
}

void IndexState::put(const PackRows& rows) {
  memory_.add(rows);
  memory_.unmask(rows.pack);
  if (!directory_ || pending_rows_ > kMaxPendingRows) return;
  if (pending_.emplace(rows.pack, std::make_shared<const PackRows>(rows)).second)
    pending_rows_ += count_rows(rows);
}

std::shared_ptr<const PackRows> IndexState::take_pending(const PackId& pack) {
  const auto found = pending_.find(pack);
  if (found == pending_.end()) return nullptr;
  auto rows = std::move(found->second);
  pending_.erase(found);
  pending_rows_ -= count_rows(*rows);
  return rows;
}

void IndexState::drop_written(const PackId& pack) {
  if (const auto rows = take_pending(pack)) {
    memory_.drop_written(*rows);
  } else {
    memory_.drop(pack);
  }
}

Status IndexState::erase(const PackId& pack) {
  take_pending(pack);
  memory_.drop(pack);
  const bool is_written = database() != nullptr && TRY(database()->find_pack(pack)).has_value();
  if (is_written) {
    memory_.mask(pack);
  } else {
    memory_.unmask(pack);
  }
  return {};
}

Status IndexState::add(const PackRows& rows) {
  Lock lock(mutex_);
  const auto row = known(rows.pack);
  if (row.ok() && row.value()) return {};
  put(rows);
  write_when_due(&lock);
  return {};
}

Status IndexState::forget(const PackId& pack) {
  const std::lock_guard writing(writing_);
  const Lock lock(mutex_);
  for (int attempt = 0;; ++attempt) {
    auto erased = erase(pack);
    if (!is_damage(erased)) return erased;
    TRY(heal(attempt));
  }
}

Status IndexState::flush() {
  write_pending(kLockWait);
  return {};
}

IndexBatch IndexState::batch() const {
  IndexBatch batch;
  for (const auto& [pack, rows] : pending_) batch.added.push_back(rows);
  batch.gone.assign(memory_.masked().begin(), memory_.masked().end());
  return batch;
}

void IndexState::take_written(const IndexBatch& batch, Result<IndexView> written) {
  if (!written.ok() || !written.value().database) {
    if (!is(written, ErrorCode::kBusy)) can_write_ = false;
    write_at_ = pending_rows_ + kBatchRows;
    return;
  }
  can_write_ = true;
  if (database() != nullptr && database()->identity() != written.value().database->identity())
    incomplete_ = true;
  ++generation_;
  view_ = written.take();
  for (const PackId& pack : batch.gone) memory_.unmask(pack);
  for (const auto& rows : batch.added) {
    if (pending_.contains(rows->pack)) {
      drop_written(rows->pack);
    } else {
      memory_.mask(rows->pack);  // forgotten while the batch was written
    }
  }
  write_at_ = kBatchRows;
}

void IndexState::write_pending(std::chrono::milliseconds wait) {
  if (!directory_) return;
  const std::lock_guard writing(writing_);
  IndexBatch rows;
  {
    const std::shared_lock lock(mutex_);
    rows = batch();
  }
  if (rows.added.empty() && rows.gone.empty()) return;
  auto written = directory_->write(rows, wait);
  const Lock lock(mutex_);
  take_written(rows, std::move(written));
}

Status IndexState::write_held() {
  const IndexBatch rows = batch();
  if (!directory_ || (rows.added.empty() && rows.gone.empty())) return {};
  auto written = directory_->write(rows);
  Status done = written.ok() ? Status() : Status(written.error());
  take_written(rows, std::move(written));
  return done;
}

void IndexState::write_when_due(Lock* lock) {
  if (!directory_ || pending_rows_ < write_at_) return;
  if (lock == nullptr) {
    best_effort(write_held());
    return;
  }
  const Released released(lock);
  write_pending(kLockWait);
}

}  // namespace ashlar
