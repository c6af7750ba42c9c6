// Making an image of snapshots that are there, and finding the images that hold a snapshot.
#pragma once

#include <optional>

#include "catalog/images.h"
#include "catalog/snapshots.h"

namespace ashlar {

// Publishes an image of existing snapshots. `wanted` has everything that a person chooses; its devices and
// boot files name their snapshots, and their digests and sizes are filled in (a device of size 0 is as large
// as its snapshot). Id, time and revision are new; its state is kAvailable. kNotFound for a snapshot that is
// missing, kBusy for a name that is taken, kInvalid for anything that check_limits() refuses.
Result<ImageRecord> register_image(ImageCatalog& images, const SnapshotCatalog& snapshots,
                                   ImageRecord wanted);

// From pending to available: its snapshots are there now. kBusy when somebody has failed it meanwhile.
Result<ImageRecord> make_available(ImageCatalog& images, const SnapshotCatalog& snapshots, ImageId id,
                                   const ImageBoot& boot);

// Fills in what the snapshots of an image hold, where that is not known yet.
Status fill_contents(const SnapshotCatalog& snapshots, ImageRecord& record);

// An image that needs the snapshot, if there is one: it may not be deleted then. A record that can't be read
// is an error that names it, unless another image answers.
Result<std::optional<ImageId>> image_on(const ImageCatalog& images, SnapshotId snapshot);

// Images that were being made by sessions that are gone are failed from now on. How many there were.
Result<std::size_t> fail_abandoned_images(ImageCatalog& images, ObjectStore& objects);

}  // namespace ashlar
