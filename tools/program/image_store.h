// ImageStore: an open store, and its images as the account of the command line sees them.
#pragma once

#include <memory>

#include "action/account_images.h"
#include "program/cli.h"
#include "repo/repo.h"

namespace ashlar {

class ImageStore {
 public:
  static Result<ImageStore> open(const Globals& globals);

  Repo& repo() { return *repo_; }
  ImageCatalog& catalog() { return images_->catalog(); }
  AccountId account() const { return images_->account(); }
  Result<ImageRecord> find(ImageId id) const { return images_->find(id); }
  Result<ImageRecord> find_own(ImageId id, bool in_bin = false) const {
    return images_->find_own(id, in_bin);
  }

 private:
  ImageStore() = default;
  std::unique_ptr<Repo> repo_;
  std::unique_ptr<AccountImages> images_;
};

// Returns the account of --as and $ASHLAR_ACCOUNT, else the store's own.
Result<AccountId> account_of(const Globals& globals, const StoreId& store);
// Returns the account as records of volumes name it: value 0 for the store's own.
Result<AccountId> volume_owner(const Globals& globals, const StoreId& store);

}  // namespace ashlar
