#include "pack/leaned_packs.h"

namespace ashlar {

// The pack is looked for first. When it is condemned and freed at any time after that, the list of condemned
// packs came before its end, and so before it is noted here, or it is on the list of what is kept.
Result<bool> LeanedPacks::lean_on(PackKind kind, const PackId& pack) {
  {
    const std::lock_guard lock(mutex_);
    if (leaned_.contains(pack)) return true;
    if (condemned_.contains(pack)) return false;
  }
  const auto found = objects_.stat(pack_key(kind, pack));
  if (is(found, ErrorCode::kNotFound)) return false;
  if (!found.ok()) return found.error();
  const std::lock_guard lock(mutex_);
  if (condemned_.contains(pack)) return false;
  leaned_.emplace(pack, kind);
  return true;
}

std::vector<PackId> LeanedPacks::exclude(std::set<PackId> condemned) {
  const std::lock_guard lock(mutex_);
  condemned_ = std::move(condemned);
  std::vector<PackId> kept;
  for (const PackId& pack : condemned_) {
    if (leaned_.contains(pack) || written_by(pack, session_)) kept.push_back(pack);
  }
  return kept;
}

std::vector<std::string> LeanedPacks::keys() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> keys;
  keys.reserve(leaned_.size());
  for (const auto& [pack, kind] : leaned_) keys.push_back(pack_key(kind, pack));
  return keys;
}

std::set<PackId> LeanedPacks::packs() const {
  std::set<PackId> packs = this->packs(PackKind::kData);
  packs.merge(this->packs(PackKind::kMeta));
  return packs;
}

std::set<PackId> LeanedPacks::packs(PackKind kind) const {
  const std::lock_guard lock(mutex_);
  std::set<PackId> packs;
  for (const auto& [pack, its_kind] : leaned_) {
    if (its_kind == kind) packs.insert(pack);
  }
  return packs;
}

}  // namespace ashlar
