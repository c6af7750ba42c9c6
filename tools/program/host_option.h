// The host of the store that a verb works on.
#pragma once

#include <memory>

#include "action/caller.h"
#include "host/host.h"
#include "program/cli.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"

namespace ashlar {

// A host, and the caller of actions on it. Lives as long as the verb runs.
struct OpenHost {
  std::unique_ptr<TerminalNotices> notices;
  std::unique_ptr<Host> host;
  Caller caller;
};

// Opens the host's side of the store of --store, for the account of --as. `globals` outlives the host.
Result<OpenHost> open_host(const Globals& globals, std::stop_token stop = {},
                           std::size_t cache_bytes = FrameCache::kDefaultBytes);

}  // namespace ashlar
