// The store that a verb works on: --store, else $ASHLAR_STORE.
#pragma once

#include <memory>
#include <stop_token>

#include "action/caller.h"
#include "program/cli.h"
#include "repo/repo.h"

namespace ashlar {

// Opens the store of --store. Warns of a copied store that was not adopted.
Result<std::unique_ptr<Repo>> open_store(const Globals& globals);
// Does the same without the warning.
Result<std::unique_ptr<Repo>> open_copied_store(const Globals& globals);
// Returns the caller of actions: the account of --as and $ASHLAR_ACCOUNT, else the store's own.
Result<Caller> caller_of(const Globals& globals, const Repo& repo, Notices& notices, std::stop_token stop);
// kInvalid for a target in the store: even --force must not turn a pack into a disk image, or fill the
// store's folders with strange files.
Status check_outside_store(const std::string& target, const std::string& store);

}  // namespace ashlar
