// Stores: what a store holds, its index, and its settings. Any account may see and change these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "action/caller.h"
#include "action/snapshots.h"
#include "collect/collection_plan.h"
#include "document/store_settings.h"
#include "host/adopt.h"
#include "repo/repo.h"

namespace ashlar {

struct StoreStats {
  std::uint64_t sessions = 0;  // captures that run, in all processes
  ByteCount logical;           // sizes of the snapshots
  ByteCount data;              // their blocks that hold data
  IndexStats index;
  SnapshotList snapshots;
  std::vector<std::pair<SessionId, Error>> unread_sessions;  // counted in `sessions`
  std::optional<CollectionPlan> plan;  // of a collection; none where that would refuse to free anything

  ByteCount unique() const { return ByteCount{index.blocks * kBlockBytes}; }
  ByteCount stored() const { return ByteCount{index.data_bytes + index.node_bytes}; }
};
// Counts what can be read, and names the records that can't be.
Result<StoreStats> describe_store(Repo& repo, const Caller& caller);

struct Reindexed {
  CatchUpReport report;
  IndexStats stats;
};
// Makes the index anew from the packs.
Result<Reindexed> reindex_store(Repo& repo, const Caller& caller);

struct ModifySettings {
  std::optional<std::uint32_t> bin_days;
  std::optional<UnsignedImages> unsigned_images;
};
// Changes what the request states and returns all settings; without a statement it changes nothing.
Result<StoreSettings> modify_settings(Repo& repo, const Caller& caller, const ModifySettings& request);

struct DiscardedRecord {
  std::string damage;  // says what is wrong with the record
  // Key of the object that holds its bytes: "damaged/ami-….<Unix time, ns>"; empty when there were none.
  std::string kept;
};
// Moves a damaged record aside, so that it counts as deleted. `id` is that of a snapshot, a volume, an image,
// a launch template, a lifecycle policy or a session (then what it had not published is gone), the key of a
// name claim ("image-names/…", which is made anew), "settings" (damaged or missing; the defaults take their
// place) or "collection". Fails with kInvalid for a record that is not damaged, kNotFound for one that is not
// there.
Result<DiscardedRecord> discard_damaged_record(Repo& repo, const Caller& caller, const std::string& id);

// Makes the volumes and machines that a copied store brought along its own, and warns of each that may be
// damaged because it was in use when the store was copied. Does nothing for a store that is not a copy.
Result<Adoption> adopt_store(Repo& repo, const Caller& caller);

}  // namespace ashlar
