// The store that a verb works on: --store, else $ASHLAR_STORE.
#pragma once

#include <memory>
#include <stop_token>

#include "action/caller.h"
#include "action/outside_store.h"
#include "program/cli.h"
#include "program/terminal_notices.h"
#include "repo/repo.h"

namespace ashlar {

// Opens the store of --store. Warns of a copied store that was not adopted.
Result<std::unique_ptr<Repo>> open_store(const Globals& globals);
// Does the same without the warning.
Result<std::unique_ptr<Repo>> open_copied_store(const Globals& globals);
// Returns the caller of actions: the account of --as and $ASHLAR_ACCOUNT, else the store's own.
Result<Caller> caller_of(const Globals& globals, const Repo& repo, Notices& notices, std::stop_token stop);

// A store and the caller of a verb's actions on it.
struct OpenStore {
  std::unique_ptr<Repo> repo;
  std::unique_ptr<TerminalNotices> notices;
  Caller caller;
};
// `globals` outlives the answer.
Result<OpenStore> open_for_actions(const Globals& globals, std::stop_token stop = {});

}  // namespace ashlar
