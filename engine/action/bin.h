// The recycle bin: snapshots that were deleted and images that were deregistered. Snapshots belong to the
// store; of the images an account sees and restores its own.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "action/caller.h"
#include "image/deletion.h"
#include "repo/repo.h"

namespace ashlar {

struct DeletedThing {
  std::variant<SnapshotId, ImageId> id;
  UtcTime deleted;
  std::string name;

  std::string id_text() const;
};
struct BinList {
  std::vector<DeletedThing> things;  // oldest deletion first
  std::vector<Error> unread;         // of objects that can't be read, and may lie in the bin
};
// Lists the bin.
Result<BinList> describe_bin(Repo& repo, const Caller& caller);

// Brings a deleted snapshot back. Fails with kNotFound, kind kNotInBin, when it is not in the bin.
Status restore_snapshot_from_bin(Repo& repo, const Caller& caller, SnapshotId id);
// Makes a deregistered image of the account available again. Fails with kNotFound, kind kNotInBin, for an
// image that does not exist or that the account may not see; with kInvalid for one of another account; with
// kBusy when another image has taken its name, and, kind kNoSuchSnapshot, while a snapshot of the image is in
// the bin itself.
Status restore_image_from_bin(Repo& repo, const Caller& caller, ImageId id);

enum class PurgeAge : unsigned char {
  kAsSet,  // what was deleted at least as many days ago as the settings say
  kAny,
};
// A clock that jumped ahead makes everything in the bin look old.
enum class PurgeClock : unsigned char {
  kCheck,  // refuse when the clock may be wrong, and something would be purged by it
  kIsRight,
};
// Removes snapshots and images from the bin for good, those of all accounts. Fails with kInvalid, kind
// kClockDoubtful, when something is due while the clock is not synchronised, or stands more than a year past
// everything that was ever stored.
Result<Purged> purge_bin(Repo& repo, const Caller& caller, PurgeAge age, PurgeClock clock);

}  // namespace ashlar
