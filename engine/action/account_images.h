// AccountImages: the images of a store as one account sees them. Other accounts' images do not exist for it,
// unless they were shared with it or with all accounts; only its own ones may be changed.
#pragma once

#include "action/caller.h"
#include "catalog/images.h"
#include "repo/repo.h"

namespace ashlar {

class AccountImages {
 public:
  // Fails the images whose makers are gone. Where that can't be done, warns and goes on: a store that can't
  // be written is still readable.
  static AccountImages open(Repo& repo, const Caller& caller);

  ImageCatalog& catalog() { return catalog_; }
  const ImageCatalog& catalog() const { return catalog_; }
  AccountId account() const { return account_; }

  // Returns an image; kNotFound also for one that the account may not see.
  Result<ImageRecord> find(ImageId id) const;
  // Finds an image that is to be read. Fails with kInvalid unless it is available.
  Result<ImageRecord> find_available(ImageId id) const;
  // Returns an image of the account. Fails with kInvalid for an image of another account. A deregistered one
  // is found only when `in_bin`.
  Result<ImageRecord> find_own(ImageId id, bool in_bin = false) const;

  // Changes an image of the account when `change` returns ok; it is called again when another writer was
  // faster. Fails with kInvalid when the image is deregistered meanwhile.
  template <class Change>
  Result<ImageRecord> update_own(ImageId id, const Change& change) {
    TRY(find_own(id));
    return catalog_.update(id, [&](ImageRecord& record) -> Status {
      TRY(check_not_retired(record));
      return change(record);
    });
  }

 private:
  AccountImages(ObjectStore& objects, AccountId account) : catalog_(objects), account_(account) {}
  static Status check_not_retired(const ImageRecord& record);

  ImageCatalog catalog_;
  AccountId account_;
};

// Returns kInvalid unless the image is available: "ami-… is disabled, not available".
Status check_available(const ImageRecord& image);

}  // namespace ashlar
