#include "program/image_store.h"

#include <fmt/format.h>

#include "image/access.h"
#include "image/register.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

Error unknown(ImageId id) {
  return not_found(fmt::format("no image {} in this store: 'ashlar image list' lists them", id.text()));
}

}  // namespace

Result<AccountId> account_of(const Globals& globals, const StoreId& store) {
  if (globals.account.empty()) return AccountId::of_store(store);
  return AccountId::parse(globals.account);
}

Result<AccountId> volume_owner(const Globals& globals, const StoreId& store) {
  const AccountId account = TRY(account_of(globals, store));
  return account == AccountId::of_store(store) ? AccountId{} : account;
}

Result<ImageStore> ImageStore::open(const Globals& globals) {
  ImageStore store;
  store.repo_ = TRY(open_store(globals));
  store.catalog_ = std::make_unique<ImageCatalog>(store.repo_->objects());
  store.account_ = TRY(account_of(globals, store.repo_->config().id));
  // A store that can't be written is still readable.
  const auto failed = fail_abandoned_images(*store.catalog_, store.repo_->objects());
  if (!failed.ok()) print_warning(failed.error().text());
  return store;
}

Result<ImageRecord> ImageStore::find(ImageId id) const {
  ImageRecord record = TRY(catalog_->get(id));
  if (!may_see(record, account_)) return unknown(id);
  return record;
}

Result<ImageRecord> ImageStore::find_own(ImageId id, bool in_bin) const {
  ImageRecord record = TRY(catalog_->get(id));
  if (record.owner == account_ && (in_bin || record.state != ImageState::kDeregistered)) return record;
  if (!may_see(record, account_)) return unknown(id);
  return invalid(
      fmt::format("{} belongs to {}: only its owner may change it", id.text(), record.owner.text()));
}

}  // namespace ashlar
