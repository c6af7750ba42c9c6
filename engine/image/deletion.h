// Deleting snapshots, through the recycle bin, and bringing them back.
#pragma once

#include <chrono>

#include "catalog/bin.h"
#include "catalog/images.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"

namespace ashlar {

// The snapshot lies in the bin from now on. kBusy while a volume or an image needs it: "snap-… is in use by
// ami-…".
Status delete_snapshot(ObjectStore& objects, SnapshotId id);

// Out of the bin: it is there again, as it was.
Result<SnapshotRecord> restore_snapshot(ObjectStore& objects, SnapshotId id);

// Makes the record that of a deregistered image, which lies in the bin. kBusy for one that is still being
// made, kInvalid for one that is deregistered.
Status deregister(ImageRecord& record, UtcTime now);

// A deregistered image is available again; all of its snapshots must be there. kBusy when another image has
// taken its name.
Result<ImageRecord> restore_image(ObjectStore& objects, ImageId id);

// What is gone for good: it was deleted at or before `until`. One that is still there (its deletion or its
// restoring was cut off) only loses its entry.
struct Purged {
  std::vector<SnapshotId> snapshots;
  std::vector<ImageId> images;  // deregistered ones
};
Result<Purged> purge_bin(ObjectStore& objects, UtcTime until);

}  // namespace ashlar
