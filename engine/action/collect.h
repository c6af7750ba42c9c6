// Collecting: getting back the space of what no snapshot needs. Any account may.
#pragma once

#include "action/caller.h"
#include "collect/collect.h"
#include "repo/repo.h"

namespace ashlar {

// Says what collect_store() would do, and changes nothing.
Result<CollectReport> plan_collection_of(Repo& repo, const Caller& caller, const CollectOptions& options);

// Collects the store. On a full disk it frees first what needs no space, and uses the store's reserve. Fails
// as collect() does (collect/collect.h).
Result<CollectReport> collect_store(Repo& repo, const Caller& caller, const CollectOptions& options);

}  // namespace ashlar
