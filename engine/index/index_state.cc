#include "index/index_state.h"

#include "index/ingest.h"
#include "pack/pack_store.h"

namespace ashlar {
namespace {

constexpr int kHealsBeforeMemory = 2;

bool is_damage(const Status& status) { return !status.ok() && status.error().code() == ErrorCode::kCorrupt; }

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
    // What could not be written before is tried again.
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
  if (writes_to_disk()) {
    static_cast<void>(database_->resume());
    return false;
  }
  auto opened = directory_->open();
  if (opened == nullptr) return false;
  database_ = std::move(opened);
  const auto on_disk = database_->inventory();
  if (!on_disk.ok()) return true;  // the caller meets the damage itself
  for (const PackId& pack : on_disk.value()) memory_.drop(pack);
  return true;
}

// The inventory is taken before the list: a pack that another thread publishes and adds meanwhile is in the
// second only, and never taken for gone.
Result<CatchUpReport> IndexState::catch_up() {
  std::unique_lock lock(mutex_);
  const bool replaced = refresh();
  if (incomplete_) return heal(0);
  const auto before = inventory();
  if (!before.ok()) return heal(0);
  // A newer view may lack what was answered so far, so nobody looks before it has caught up.
  auto* released = replaced ? nullptr : &lock;
  if (released != nullptr) lock.unlock();
  const auto packs = TRY(list_all());
  if (released != nullptr) lock.lock();

  CatchUpReport report;
  damaged_.clear();
  std::set<PackId> gone = before.value().held;
  for (const PackKey& pack : packs) gone.erase(pack.first);
  for (const PackId& pack : gone) TRY(drop(pack));
  report.packs_gone = gone.size();
  for (const PackKey& pack : packs) {
    if (before.value().ingested.contains(pack.first)) continue;
    const auto rows = read(pack, released);
    if (!rows) continue;
    TRY(store(*rows));
    if (!before.value().held.contains(pack.first)) ++report.packs_added;
  }
  return report;
}

Result<CatchUpReport> IndexState::rebuild() {
  const std::unique_lock lock(mutex_);
  if (!writes_to_disk()) refresh();
  if (database_ != nullptr && !database_->writable()) return busy("index: another process writes it");
  return heal(0);
}

Result<CatchUpReport> IndexState::heal(int attempt) {
  ++generation_;
  incomplete_ = true;
  for (;; ++attempt) {
    database_.reset();
    memory_.clear();
    if (attempt < kHealsBeforeMemory && directory_) database_ = directory_->remake();
    auto report = ingest_missing();
    if (!report.ok() && database_ != nullptr && report.error().code() == ErrorCode::kCorrupt) continue;
    incomplete_ = !report.ok();
    return report;
  }
}

Result<CatchUpReport> IndexState::ingest_missing() {
  CatchUpReport report;
  damaged_.clear();
  const auto before = TRY(inventory());
  for (const PackKey& pack : TRY(list_all())) {
    if (before.ingested.contains(pack.first)) continue;
    const auto rows = read(pack, nullptr);
    if (!rows) continue;
    TRY(put(*rows));
    ++report.packs_added;
  }
  return report;
}

std::optional<PackRows> IndexState::read(const PackKey& pack, std::unique_lock<std::shared_mutex>* lock) {
  if (lock != nullptr) lock->unlock();
  auto ingested = ingest_pack(objects_, pack.second, pack.first);
  if (lock != nullptr) lock->lock();
  if (!ingested.ok()) {
    // A pack that went away since it was listed is not damaged.
    if (ingested.error().code() != ErrorCode::kNotFound) damaged_.insert(pack.first);
    return std::nullopt;
  }
  if (ingested.value().damaged_segments > 0) damaged_.insert(pack.first);
  return ingested.take().rows;
}

// To the database, or beside it when it can't take the rows now. kCorrupt when it is damaged.
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

Status IndexState::store(const PackRows& rows) {
  if (!is_damage(put(rows))) return {};
  TRY(heal(0));
  if (is_damage(put(rows))) memory_.add(rows);
  return {};
}

Status IndexState::drop(const PackId& pack) {
  memory_.drop(pack);
  for (int attempt = 0; database_ != nullptr; ++attempt) {
    const auto row = database_->find_pack(pack);
    if (row.ok() && !row.value()) break;
    auto status = row.ok() && database_->writable() ? database_->forget(pack, *row.value()) : Status();
    if (row.ok() && status.ok() && database_->writable()) break;
    if (row.ok() && !is_damage(status)) {
      memory_.mask(pack);
      return {};
    }
    TRY(heal(attempt));
    memory_.drop(pack);
  }
  memory_.unmask(pack);
  return {};
}

Status IndexState::add(const PackRows& rows) {
  const std::unique_lock lock(mutex_);
  const auto row = known(rows.pack);
  if (row.ok() && row.value()) return {};
  return store(rows);
}

Status IndexState::forget(const PackId& pack) {
  const std::unique_lock lock(mutex_);
  return drop(pack);
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
