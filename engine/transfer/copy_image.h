// copy_image(): copies an image from one store to another, first its snapshots, then its record.
//
// The new image is pending while its snapshots are copied (image/pending_image.h).
#pragma once

#include <string>

#include "image/pending_image.h"
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

struct ImageOriginal {
  StoreId store;
  ReadParts parts;  // of the store, or of the bundle, that has it
  const ImageRecord& image;
  const std::vector<SnapshotRecord>& snapshots;  // in the order of snapshots_of()
};

// Copies the image, which becomes `pending`. Launch permissions are not copied, signatures are. Fails with
// kBusy, and names the other image, when the name is taken in the target; with kCorrupt when a snapshot does
// not match the image.
Result<ImageCopyReport> copy_image(const ImageOriginal& original, const WriteParts& target,
                                   PendingImage& pending, const ImageCopyOptions& options,
                                   CopyProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
