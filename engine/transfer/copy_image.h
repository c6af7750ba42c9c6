// copy_image(): copies an image from one store to another, first its snapshots, then its record.
//
// The new image is pending while its snapshots are copied. A copy that fails or is stopped removes its
// record. A copy that is killed leaves a record whose session is gone; the next call that reads the target's
// images marks it as failed.
#pragma once

#include <string>

#include "catalog/images.h"
#include "transfer/copy.h"

namespace ashlar {

struct ImageCopyOptions {
  std::string name;  // empty: the original's name
  AccountId owner;   // the owner of the copy
  bool keep_tags = false;
  bool keep_deprecation = true;
};

struct ImageCopyReport {
  ImageRecord image;
  CopyReport copy;
};

// Copies the image. `snapshots` are the records of the original's snapshots, in the order of snapshots_of().
// Launch permissions are not copied, signatures are. Fails with kBusy, and names the other image, when the
// name is taken in the target; with kCorrupt when a snapshot does not match the image.
Result<ImageCopyReport> copy_image(const ReadParts& source, const std::vector<SnapshotRecord>& snapshots,
                                   const StoreId& here, const WriteParts& target, ImageCatalog& there,
                                   const ImageRecord& original, const ImageCopyOptions& options,
                                   CopyProgress& progress, const std::stop_token& stop);

// Returns kCorrupt when the records of the snapshots, in the order of snapshots_of(), do not match the
// contents that the image names.
Status check_contents(const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots);
// Returns the records of an image's snapshots, in that order.
Result<std::vector<SnapshotRecord>> records_of(const ImageRecord& image, const SnapshotCatalog& catalog);

}  // namespace ashlar
