#include "index/index_state.h"

#include "index/ingest.h"
#include "pack/pack_store.h"

namespace ashlar {
namespace {

constexpr int kHealsBeforeMemory = 2;

template <class T>
bool is_damage(const Result<T>& result) {
  return is(result, ErrorCode::kCorrupt);
}

}  // namespace

IndexState::IndexState(std::optional<IndexDirectory> directory, ObjectStore& objects)
    : directory_(std::move(directory)), objects_(objects) {
  if (directory_) database_ = directory_->open();
}

Result<IndexState::Inventory> IndexState::inventory() const {
  Inventory inventory;
  if (database_ != nullptr) inventory.held = TRY(database_->inventory());
  inventory.ingested = inventory.held;
  for (const PackId& pack : memory_.masked()) inventory.ingested.erase(pack);
  for (const auto& [pack, row] : memory_.packs()) {
    inventory.held.insert(pack);
    // Rows that a database could not take before are ingested once more when it can be written.
    if (!writes_to_disk()) inventory.ingested.insert(pack);
  }
  return inventory;
}

Result<std::vector<IndexState::PackKey>> IndexState::list_all() const {
  std::vector<PackKey> packs;
  for (const PackKind kind : {PackKind::kData, PackKind::kMeta}) {
    for (const ListedPack& pack : TRY(list_packs(objects_, kind))) packs.emplace_back(pack.id, kind);
  }
  return packs;
}

bool IndexState::refresh() {
  if (!directory_) return false;
  const bool stuck = writes_to_disk();
  if (stuck) {
    if (!database_->has_failed()) return false;
    database_.reset();
  }
  auto opened = directory_->open();
  if (opened == nullptr) return stuck;
  database_ = std::move(opened);
  const auto on_disk = database_->inventory();
  if (!on_disk.ok()) return true;  // the caller's next read meets the damage
  for (const PackId& pack : on_disk.value()) memory_.drop(pack);
  return true;
}

Result<CatchUpReport> IndexState::catch_up() {
  std::unique_lock lock(mutex_);
  // A newer view may lack rows that were answered before, so the lock is held until it has caught up.
  if (!incomplete_) incomplete_ = refresh();
  if (incomplete_) return complete();
  auto report = synchronise(&lock);
  return is_damage(report) ? heal(0) : std::move(report);
}

Result<CatchUpReport> IndexState::rebuild() {
  const std::unique_lock lock(mutex_);
  if (!writes_to_disk()) refresh();
  if (directory_ && !writes_to_disk()) return directory_->why_not_writable();
  return heal(0);
}

// The inventory is read before the packs are listed. A pack that another thread publishes and adds in between
// is only in the list, so it is never taken for a pack that is gone.
Result<CatchUpReport> IndexState::synchronise(std::unique_lock<FairSharedMutex>* lock) {
  const Inventory before = TRY(inventory());
  if (lock != nullptr) lock->unlock();
  auto listed = list_all();
  if (lock != nullptr) lock->lock();
  const std::vector<PackKey> packs = TRY(std::move(listed));

  CatchUpReport report;
  damaged_.clear();
  std::set<PackId> gone = before.held;
  for (const PackKey& pack : packs) gone.erase(pack.first);
  for (const PackId& pack : gone) TRY(erase(pack));
  report.packs_gone = gone.size();
  for (const PackKey& pack : packs) {
    if (before.ingested.contains(pack.first)) continue;
    const auto rows = read(pack, lock);
    if (!rows) continue;
    TRY(put(*rows));
    if (!before.held.contains(pack.first)) ++report.packs_added;
  }
  return report;
}

Result<CatchUpReport> IndexState::complete() {
  auto report = synchronise(nullptr);
  if (is_damage(report)) return heal(0);
  incomplete_ = !report.ok();
  return report;
}

Result<CatchUpReport> IndexState::heal(int attempt) {
  ++generation_;
  for (;; ++attempt) {
    database_.reset();
    memory_.clear();
    if (attempt < kHealsBeforeMemory && directory_) database_ = directory_->remake();
    auto report = synchronise(nullptr);
    if (is_damage(report) && database_ != nullptr) continue;
    incomplete_ = !report.ok();
    return report;
  }
}

std::optional<PackRows> IndexState::read(const PackKey& pack, std::unique_lock<FairSharedMutex>* lock) {
  if (lock != nullptr) lock->unlock();
  auto ingested = ingest_pack(objects_, pack.second, pack.first);
  if (lock != nullptr) lock->lock();
  if (!ingested.ok()) {
    // A pack that was deleted after it was listed is not damaged.
    if (ingested.error().code() != ErrorCode::kNotFound) damaged_.insert(pack.first);
    return std::nullopt;
  }
  if (ingested.value().damaged_segments > 0) damaged_.insert(pack.first);
  return ingested.take().rows;
}

Status IndexState::put(const PackRows& rows) {
  if (writes_to_disk()) {
    auto written = database_->add(rows);
    if (is_damage(written)) return written;
    memory_.drop(rows.pack);
    if (!written.ok()) memory_.add(rows);
  } else {
    memory_.add(rows);
  }
  memory_.unmask(rows.pack);
  return {};
}

Status IndexState::erase(const PackId& pack) {
  memory_.drop(pack);
  const auto row = database_ == nullptr ? std::optional<PackRow>() : TRY(database_->find_pack(pack));
  const auto erased = row && database_->writable() ? database_->forget(pack, *row) : Status();
  if (is_damage(erased)) return corrupt(erased.error().text());
  if (row && (!database_->writable() || !erased.ok())) {
    memory_.mask(pack);
  } else {
    memory_.unmask(pack);
  }
  return {};
}

Status IndexState::add(const PackRows& rows) {
  const std::unique_lock lock(mutex_);
  const auto row = known(rows.pack);
  if (row.ok() && row.value()) return {};
  for (int attempt = 0; is_damage(put(rows)); ++attempt) TRY(heal(attempt));
  return {};
}

Status IndexState::forget(const PackId& pack) {
  const std::unique_lock lock(mutex_);
  for (int attempt = 0; is_damage(erase(pack)); ++attempt) TRY(heal(attempt));
  return {};
}

Status IndexState::flush() {
  return answer([&]() -> Status {
    if (database_ == nullptr) return {};
    auto flushed = database_->flush();
    if (is_damage(flushed)) return flushed;
    return {};
  });
}

}  // namespace ashlar
