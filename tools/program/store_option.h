// The store that a verb works on: --store, else $ASHLAR_STORE.
#pragma once

#include <memory>
#include <stop_token>

#include "action/caller.h"
#include "host/volume_host.h"
#include "program/cli.h"
#include "repo/repo.h"

namespace ashlar {

Result<std::unique_ptr<Repo>> open_store(const Globals& globals);
// Returns the caller of actions: the account of --as and $ASHLAR_ACCOUNT, else the store's own.
Result<Caller> caller_of(const Globals& globals, const Repo& repo, Notices& notices, std::stop_token stop);
// The same, and the volumes that this host has of it.
Result<std::unique_ptr<VolumeHost>> open_volume_host(const Globals& globals,
                                                     std::size_t cache_bytes = FrameCache::kDefaultBytes);
// kInvalid for a target in the store: even --force must not turn a pack into a disk image, or fill the
// store's folders with strange files.
Status check_outside_store(const std::string& target, const std::string& store);

}  // namespace ashlar
