#include "action/caller.h"

namespace ashlar {

AccountId volume_owner(const Caller& caller, const StoreId& store) {
  return caller.account == AccountId::of_store(store) ? AccountId{} : caller.account;
}

}  // namespace ashlar
