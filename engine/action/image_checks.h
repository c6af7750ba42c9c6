// Image checks: what is in an image, who vouches for it, and whether it is what they vouched for.
#pragma once

#include <string>
#include <vector>

#include "action/caller.h"
#include "codec/signature.h"
#include "document/image_record.h"
#include "inspect/image_inspection.h"
#include "repo/repo.h"

namespace ashlar {

// Inspects the disks of an image, or one snapshot, for what should not be in a template. Fails with kInvalid
// for an image whose disks are not there.
Result<std::vector<InspectedDevice>> inspect_image(Repo& repo, const Caller& caller, ImageId id);
Result<std::vector<InspectedDevice>> inspect_snapshot(Repo& repo, const Caller& caller, SnapshotId id);

// Signs an available image of the account, and returns it as it is then. A key has one signature of an image:
// the last one.
Result<ImageRecord> sign_image(Repo& repo, const Caller& caller, ImageId id, const SigningKey& key);

struct VerifiedSignature {
  ImageSignature signature;
  bool is_valid = false;
  bool is_trusted = false;  // valid, and the store trusts its key
  std::string trusted_as;   // the store's name for the key; may be empty
};
struct VerifiedImage {
  ImageRecord image;
  std::vector<VerifiedSignature> signatures;
  std::vector<std::string> faults;  // of its disks and boot files; empty: they hold what the image says

  bool is_trusted() const;
  bool is_whole() const;  // no faults, and no signature that is not valid
};
// Reads every block of an image, and checks it and its signatures.
Result<VerifiedImage> verify_image(Repo& repo, const Caller& caller, ImageId id);

}  // namespace ashlar
