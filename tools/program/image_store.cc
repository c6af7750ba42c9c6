#include "program/image_store.h"

#include "program/store_option.h"
#include "program/terminal_notices.h"

namespace ashlar {

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
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *store.repo_, notices, {}));
  store.images_ = std::make_unique<AccountImages>(AccountImages::open(*store.repo_, caller));
  return store;
}

}  // namespace ashlar
