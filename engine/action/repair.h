// Repair: finding decay of what is stored, and healing it. Any account may do both.
#pragma once

#include <optional>
#include <string>

#include "action/caller.h"
#include "host/host.h"
#include "repair/repair.h"
#include "repo/repo.h"
#include "scrub/scrub.h"

namespace ashlar {

// Reads stored bytes past the page cache, those first that were read longest ago.
Result<ScrubReport> scrub_store(Repo& repo, const Caller& caller, const ScrubOptions& options);

struct RepairRequest {
  Repo* from = nullptr;            // another store
  std::string source;              // a disk image, a block device, or an NBD URI; empty: none
  Host* host = nullptr;            // of the store, for `volume`
  std::optional<VolumeId> volume;  // of this host, not served
};
struct Repaired {
  RepairReport report;
  VerifyReport left;  // what is damaged still, and what it costs
};
// Heals what is recorded as damaged and what is missing from this store's own packs, then from the sources of
// the request. What is needed and found nowhere is recorded as lost. Fails with kBusy, kind kVolumeServed,
// while the volume is served: the NBD URI of its export serves as a source.
Result<Repaired> repair_store(Repo& repo, const Caller& caller, const RepairRequest& request);
// Says what is damaged, and changes nothing.
Result<VerifyReport> describe_damage(Repo& repo, const Caller& caller);

}  // namespace ashlar
