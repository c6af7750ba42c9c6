// Registration: making an image of existing snapshots.
#pragma once

#include "catalog/images.h"
#include "catalog/snapshots.h"

namespace ashlar {

// Publishes an image of existing snapshots. `wanted` has everything that a person chooses; its devices and
// boot files name their snapshots, and their digests and sizes are filled in (a device of size 0 is as large
// as its snapshot). Id, time and revision are new; its state is kAvailable. Returns kNotFound for a missing
// snapshot, kBusy for a name that is taken, kInvalid for anything that check_limits() refuses.
Result<ImageRecord> register_image(ImageCatalog& images, const SnapshotCatalog& snapshots,
                                   ImageRecord wanted);

// Makes a pending image available, once its snapshots exist. Returns kBusy when it was failed meanwhile.
Result<ImageRecord> make_available(ImageCatalog& images, const SnapshotCatalog& snapshots, ImageId id,
                                   const ImageBoot& boot);

// Fills in digests and sizes of the snapshots of an image, where they are not known yet.
Status fill_contents(const SnapshotCatalog& snapshots, ImageRecord& record);

// Ends the sessions of processes of this host that are gone. Fails the images that were being made by
// sessions that are gone, and returns how many there were.
Result<std::size_t> fail_abandoned_images(ImageCatalog& images, ObjectStore& objects);

}  // namespace ashlar
