#include <filesystem>

#include "action/account_images.h"
#include "action/damage_warnings.h"
#include "action/image_acceptance.h"
#include "action/image_transfers.h"
#include "image/contents.h"
#include "image/pending_image.h"

namespace ashlar {
namespace {

Result<ImageCopyReport> copy_available(Repo& from, const ImageRecord& image, Repo& to, const Caller& there,
                                       const NewCopy& copy) {
  const std::vector<SnapshotRecord> snapshots = TRY(records_of(image, from.snapshots()));
  const DamageWarnings warnings(from, there.notices);
  const ImageOriginal original{from.config().id, TRY(from.read_parts()), image, snapshots};
  const WriteParts target = TRY(to.write_parts());
  const auto pending = TRY(PendingImage::begin(to.objects(), to.config().id, PendingImage::Snapshots::kStay));
  const ImageCopyOptions options{copy.name, there.account, copy.keep_tags, copy.keep_deprecation};
  CopyProgress progress;
  const auto watch = there.notices.watch("image copy", [&progress] { return sample_of(progress); });
  return copy_image(original, target, *pending, options, progress, there.stop);
}

}  // namespace

// Two Repos of the same store are used as one: within a store the snapshots are named once more, and no data
// crosses.
Result<ImageCopyReport> copy_image(Repo& from, const Caller& here, Repo& to, const Caller& there, ImageId id,
                                   const NewCopy& copy) {
  const ImageRecord image = TRY(AccountImages::open(from, here).find_available(id));
  // A copy of the store has the same id, and is another place.
  std::error_code unknown;
  const bool is_same = from.config().id == to.config().id &&
                       std::filesystem::equivalent(from.address().directory, to.address().directory, unknown);
  AccountImages::open(to, there);
  TRY(accept_image(to, there, image).with_context(to.address().text()));
  return copy_available(from, image, is_same ? from : to, there, copy);
}

}  // namespace ashlar
