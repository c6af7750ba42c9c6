// The images of a store, as one account sees them.
#pragma once

#include <memory>

#include "catalog/images.h"
#include "program/cli.h"
#include "repo/repo.h"

namespace ashlar {

class ImageStore {
 public:
  // Images whose makers are gone are failed first.
  static Result<ImageStore> open(const Globals& globals);

  Repo& repo() { return *repo_; }
  ImageCatalog& catalog() { return *catalog_; }
  AccountId account() const { return account_; }

  // kNotFound also for one that the account may not see.
  Result<ImageRecord> find(ImageId id) const;
  // The same, and kInvalid for one of another account: only owners change images. A deregistered one is found
  // when `in_bin`.
  Result<ImageRecord> find_own(ImageId id, bool in_bin = false) const;

 private:
  ImageStore() = default;
  std::unique_ptr<Repo> repo_;
  std::unique_ptr<ImageCatalog> catalog_;
  AccountId account_;
};

// Of --as and $ASHLAR_ACCOUNT, else the store's own.
Result<AccountId> account_of(const Globals& globals, const StoreId& store);
// The same as records of volumes have it: value 0 for the store's own.
Result<AccountId> volume_owner(const Globals& globals, const StoreId& store);

}  // namespace ashlar
