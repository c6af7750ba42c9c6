// Deletion: deleting snapshots and images through the recycle bin, and restoring them.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"

namespace ashlar {

// Moves a snapshot to the bin. Returns kBusy while a volume or an image needs it: "snap-… is in use by
// ami-…". A record that can't be read stays, and its error is returned: nothing is removed that was not
// understood.
Status delete_snapshot(ObjectStore& objects, SnapshotId id);
// Deletes each snapshot and returns its outcome, in their order. Reads the records of volumes and images
// twice in all.
std::vector<Status> delete_snapshots(ObjectStore& objects, const std::vector<SnapshotId>& ids);

// Takes a snapshot out of the bin: it is there again, as it was, in another incarnation.
Result<SnapshotRecord> restore_snapshot(ObjectStore& objects, SnapshotId id);

// Makes the record that of a deregistered image, which lies in the bin. Returns kBusy for an image that is
// still being made, kInvalid for one that is deregistered.
Status deregister(ImageRecord& record, UtcTime now);

// Makes a deregistered image available again; all of its snapshots must exist. Returns kBusy when another
// image has taken its name.
Result<ImageRecord> restore_image(ObjectStore& objects, ImageId id);

// The snapshots and images that a purge ended for good: they were deleted at or before `until`. What a
// running capture stands on is kept until a purge after its end.
struct Purged {
  std::vector<SnapshotId> snapshots;
  std::vector<ImageId> images;  // deregistered ones
  std::vector<Error> unread;    // objects of snapshots and images that can't be read; they stay
};
// The times that decide about a purge.
struct BinTimes {
  UtcTime oldest_deletion{std::numeric_limits<std::uint64_t>::max()};  // of what lies in the bin
  UtcTime newest;  // of all that was ever stored or deleted
};
// Purges nothing, and returns the error, when `allow` fails. It is called once all objects were read.
Result<Purged> purge_bin(ObjectStore& objects, UtcTime until,
                         const std::function<Status(const BinTimes&)>& allow = nullptr);

}  // namespace ashlar
