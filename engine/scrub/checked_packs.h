// Checked packs: reads packs past the page cache, records what is found, and notes the faults for their
// losses. Internal to the module.
#pragma once

#include <set>
#include <stop_token>
#include <vector>

#include "base/pace.h"
#include "scrub/losses.h"
#include "scrub/verify.h"

namespace ashlar {

struct PackChecks {
  const VerifyParts& parts;
  VerifyProgress& progress;
  Pace& pace;
  const std::stop_token& stop;
  VerifyReport& report;
  Losses& losses;
  std::set<PackId>& unread;  // gets the packs of which something could not be read
};

// Checks packs of one kind on one thread a processor. `needs` selects segments and nodes; null: all are read.
Status check_packs(const PackChecks& work, PackKind kind, const std::vector<PackId>& packs,
                   const NeededParts* needs);

// Loads what is recorded as damaged. A record that can't be read just now hinders no check.
Status load_damage(const PackChecks& work);
// Checks the records of damage. One whose pack is gone is removed: a collection was cut off before it did so.
// One that is damaged itself is made anew by the check of its pack.
Status check_damage_records(const PackChecks& work);
// Checks the records of everything else than snapshots.
Status check_small_records(const PackChecks& work);
// Walks all snapshots that `ids` names and that are still there.
Status walk_snapshots(const PackChecks& work, const std::vector<SnapshotId>& ids);

}  // namespace ashlar
