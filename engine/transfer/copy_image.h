// Copying an image from one store to another: its snapshots, then its record.
//
// The new image is pending while its snapshots are on their way. A copy that fails, or is stopped, takes its
// record away again; one that is killed leaves a record whose session is gone, which is failed by the next
// look at the images there.
#pragma once

#include <string>

#include "catalog/images.h"
#include "transfer/copy.h"

namespace ashlar {

struct ImageCopyOptions {
  std::string name;  // empty: the original's
  AccountId owner;   // there
  bool keep_tags = false;
  bool keep_deprecation = true;
};

struct ImageCopyReport {
  ImageRecord image;
  CopyReport copy;
};

// `snapshots` are the records of the original's snapshots, in the order of snapshots_of(). Its launch
// permissions stay behind, its signatures go along. kBusy, naming the other image, when the name is taken
// there; kCorrupt when a snapshot is not what the image says.
Result<ImageCopyReport> copy_image(const ReadParts& source, const std::vector<SnapshotRecord>& snapshots,
                                   const StoreId& here, const WriteParts& target, ImageCatalog& there,
                                   const ImageRecord& original, const ImageCopyOptions& options,
                                   CopyProgress& progress, const std::stop_token& stop);

// kCorrupt when the records of the snapshots, in the order of snapshots_of(), do not hold what the image
// says.
Status check_contents(const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots);
// The records of an image's snapshots, in that order.
Result<std::vector<SnapshotRecord>> records_of(const ImageRecord& image, const SnapshotCatalog& catalog);

}  // namespace ashlar
