// CollectionCatalog: the objects `collect/…`, in which a collection keeps its state and its lists of packs
// (format/collection_record.h).
#pragma once

#include <optional>
#include <string>

#include "format/collection_record.h"
#include "io/object_store.h"

namespace ashlar {

class CollectionCatalog {
 public:
  static constexpr std::string_view kFolder = "collect/";
  static constexpr std::string_view kStateKey = "collect/state";
  static std::string key_of(std::uint64_t epoch, const Nonce& list);

  explicit CollectionCatalog(ObjectStore& objects) : objects_(objects) {}

  // Returns the state; the first one, of epoch 0, in a store that was never collected.
  Result<CollectionState> state() const;
  // Replaces the state by `now`, whose revision and nonce it sets, and returns that. Fails with kBusy when it
  // is another one than `before`. After any other error the state may be the new one.
  Result<CollectionState> advance(const CollectionState& before, CollectionState now);

  // Stores a list under a new name, which it returns.
  Result<Nonce> put_list(const PackList& list);
  // Returns the list that a state names. Fails with kNotFound when its collection has ended.
  Result<PackList> list_of(const CollectionState& state) const;
  // Replaces a state that is damaged, or that names a damaged list, by an idle one with an epoch that no
  // session has seen, and returns what was wrong. Fails with kInvalid when nothing is. No session may be
  // open.
  Result<std::string> reset(const StoreId& store);
  // Removes the lists that the state does not name and that are of its epoch or of an earlier one.
  Status remove_old_lists(const CollectionState& state);

 private:
  ObjectStore& objects_;
};

}  // namespace ashlar
