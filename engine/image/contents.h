// Contents: the snapshots that an image names, and whether they are still what the image was made of.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "catalog/snapshots.h"
#include "document/image_record.h"

namespace ashlar {

// Returns kCorrupt when the snapshot does not hold what it held when the image was made.
Status check_content(const ImageContent& content, const SnapshotRecord& snapshot);
// Checks the snapshot that the store has under that id. Returns kNotFound when it has none.
Status check_content(const ImageContent& content, const SnapshotCatalog& snapshots);

// Calls `visit` for each device with a snapshot ("/dev/sda"), the kernel and the RAM disk; ends with the
// first error.
using VisitContent = std::function<Status(std::string_view place, const ImageContent& content)>;
Status visit_contents(const ImageRecord& image, const VisitContent& visit);

// Checks all contents of an image. `snapshots` are the records that came with it.
Status check_contents(const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots);
// Returns the records of an image's snapshots, in the order of snapshots_of().
Result<std::vector<SnapshotRecord>> records_of(const ImageRecord& image, const SnapshotCatalog& catalog);

}  // namespace ashlar
