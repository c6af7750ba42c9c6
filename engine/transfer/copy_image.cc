#include "transfer/copy_image.h"

#include <map>

#include "base/random.h"
#include "catalog/sessions.h"

namespace ashlar {
namespace {

using NewIds = std::map<SnapshotId, SnapshotId>;

Status check_content(const SnapshotCatalog& here, const ImageContent& content) {
  const SnapshotRecord record = TRY(here.get(content.snapshot));
  if (record.content == content.digest && record.size == content.size) return {};
  return corrupt(content.snapshot.text() + " is not what its image was made of");
}

Status check_contents(const SnapshotCatalog& here, const ImageRecord& image) {
  for (const ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot)
      TRY(check_content(here, device.content).with_context(device.name));
  }
  if (image.boot.kernel) TRY(check_content(here, *image.boot.kernel).with_context("the kernel"));
  if (image.boot.ramdisk) TRY(check_content(here, *image.boot.ramdisk).with_context("the RAM disk"));
  return {};
}

void rename(ImageRecord& image, const NewIds& ids) {
  for (ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot)
      device.content.snapshot = ids.at(device.content.snapshot);
  }
  if (image.boot.kernel) image.boot.kernel->snapshot = ids.at(image.boot.kernel->snapshot);
  if (image.boot.ramdisk) image.boot.ramdisk->snapshot = ids.at(image.boot.ramdisk->snapshot);
}

ImageRecord copy_of(const ImageRecord& original, const StoreId& here, const CopyTarget& target,
                    const ImageCopyOptions& options, const SessionId& session) {
  ImageRecord image = original;
  image.id = ImageId{random_u64()};
  image.revision = 1;
  image.store = target.config.id;
  image.owner = options.owner;
  if (!options.name.empty()) image.name = options.name;
  image.created = UtcTime::now();
  image.source_image = original.id;
  image.source_store = here;
  image.state = ImageState::kPending;
  image.state_reason.clear();
  image.session = session;
  image.is_public = false;
  image.shared_with.clear();
  if (!options.keep_deprecation) image.deprecated.reset();
  if (!options.keep_tags) image.tags.clear();
  return image;
}

Result<ImageRecord> make_available(ImageCatalog& images, ImageId id) {
  return images.update(id, [](ImageRecord& now) -> Status {
    if (now.state != ImageState::kPending)
      return busy(now.id.text() + " was failed by somebody else meanwhile");
    now.state = ImageState::kAvailable;
    now.session = {};
    return {};
  });
}

}  // namespace

Result<ImageCopyReport> copy_image(const CopySource& source, const SnapshotCatalog& here,
                                   const StoreId& here_id, const CopyTarget& target, ImageCatalog& there,
                                   const ImageRecord& original, const ImageCopyOptions& options,
                                   CopyProgress& progress, const std::stop_token& stop) {
  TRY(check_contents(here, original));
  std::vector<SnapshotRecord> snapshots;
  std::vector<SnapshotId> ids;
  NewIds new_ids;
  for (const SnapshotId id : snapshots_of(original)) {
    snapshots.push_back(TRY(here.get(id)));
    ids.push_back(new_ids.emplace(id, SnapshotId{random_u64()}).first->second);
  }
  const auto session = TRY(Session::begin(target.objects, target.config.id));
  ImageCopyReport report;
  report.image = copy_of(original, here_id, target, options, session->id());
  rename(report.image, new_ids);
  TRY(there.publish(report.image));
  auto copied = copy_snapshots(source, target, snapshots, ids, progress, stop);
  if (!copied.ok()) {
    (void)there.remove(report.image.id).ok();
    return copied.take_error();
  }
  report.copy = copied.take();
  report.image = TRY(make_available(there, report.image.id));
  return report;
}

}  // namespace ashlar
