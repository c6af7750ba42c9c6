// DamageCatalog: what was found damaged in packs, as objects `damage/<pack id>`. Page: docs/format/damage.md.
//
// A finding is recorded before anything acts on it, so that no process relies on bytes that another one found
// wrong. Every change replaces the object only if it is unchanged, and is made again when another writer was
// faster. A record stays, empty, when all that it named is sound again; it is removed after its pack.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "format/damage_record.h"
#include "io/object_store.h"

namespace ashlar {

class DamageCatalog {
 public:
  static constexpr std::string_view kFolder = "damage/";

  // `store` is the store that new records name.
  DamageCatalog(ObjectStore& objects, const StoreId& store) : objects_(objects), store_(store) {}
  static std::string key_of(const PackId& pack);

  // Returns the packs that have a record, in the order of their ids.
  Result<std::vector<PackId>> list_ids() const;
  // Returns the record of a pack, or no value. Fails with kCorrupt for one that is damaged itself.
  Result<std::optional<DamageRecord>> find(const PackId& pack) const;

  // Applies `change` to the record of a pack and returns what is stored then. `change` may be called several
  // times. Without a record it gets an empty one, which is not stored unless it names damage afterwards. A
  // record that is damaged itself may have named anything: `change` gets one that names the whole pack.
  // A record with more findings than its limit of bytes becomes one that names the whole pack. A record that
  // was removed meanwhile stays removed.
  Result<DamageRecord> update(PackKind kind, const PackId& pack,
                              const std::function<void(DamageRecord&)>& change);
  // Adds the findings of a record; its revision and nonce do not count.
  Result<DamageRecord> add(const DamageRecord& findings);
  // Gives up as lost what is damaged in a pack.
  Result<DamageRecord> mark_lost(PackKind kind, const PackId& pack);
  // Removes the record of a pack that is gone. Returns ok when there is none.
  Status remove(const PackId& pack);

 private:
  ObjectStore& objects_;
  StoreId store_;
};

}  // namespace ashlar
