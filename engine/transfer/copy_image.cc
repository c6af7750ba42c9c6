#include "transfer/copy_image.h"

#include <map>

#include "base/random.h"
#include "image/contents.h"

namespace ashlar {
namespace {

using NewIds = std::map<SnapshotId, SnapshotId>;

void rename(ImageRecord& image, const NewIds& ids) {
  for (ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot)
      device.content.snapshot = ids.at(device.content.snapshot);
  }
  if (image.boot.kernel) image.boot.kernel->snapshot = ids.at(image.boot.kernel->snapshot);
  if (image.boot.ramdisk) image.boot.ramdisk->snapshot = ids.at(image.boot.ramdisk->snapshot);
}

ImageRecord copy_of(const ImageOriginal& original, const StoreId& target, const ImageCopyOptions& options) {
  ImageRecord image = original.image;
  image.id = ImageId{random_u64()};
  image.revision = 1;
  image.store = target;
  image.owner = options.owner;
  if (!options.name.empty()) image.name = options.name;
  image.created = UtcTime::now();
  image.source_image = original.image.id;
  image.source_store = original.store;
  image.is_public = false;
  image.shared_with.clear();
  if (!options.keep_deprecation) image.deprecated.reset();
  if (!options.keep_tags) image.tags.clear();
  return image;
}

}  // namespace

Result<ImageCopyReport> copy_image(const ImageOriginal& original, const WriteParts& target,
                                   PendingImage& pending, const ImageCopyOptions& options,
                                   CopyProgress& progress, const std::stop_token& stop) {
  TRY(check_contents(original.image, original.snapshots));
  std::vector<SnapshotId> ids;
  ids.reserve(original.snapshots.size());
  NewIds new_ids;
  for (const SnapshotRecord& record : original.snapshots)
    ids.push_back(new_ids.emplace(record.id, SnapshotId{random_u64()}).first->second);
  ImageRecord image = copy_of(original, target.config.id, options);
  rename(image, new_ids);
  TRY(pending.publish(std::move(image)));
  ImageCopyReport report;
  report.copy = TRY(copy_snapshots(original.parts, target, original.snapshots, ids, progress, stop));
  report.image = TRY(pending.keep());
  return report;
}

}  // namespace ashlar
