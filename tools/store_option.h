// The store that a verb works on: --store, else $ASHLAR_STORE.
#pragma once

#include <memory>

#include "cli.h"
#include "repo/repo.h"

namespace ashlar {

Result<std::unique_ptr<Repo>> open_store(const Globals& globals);

}  // namespace ashlar
