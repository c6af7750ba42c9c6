#include "transfer/copy_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/random.h"
#include "catalog/sessions.h"

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

ImageRecord copy_of(const ImageRecord& original, const StoreId& here, const WriteParts& target,
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

Status check_content(const std::vector<SnapshotRecord>& snapshots, std::string_view whose,
                     const ImageContent& content) {
  const auto record = std::ranges::find(snapshots, content.snapshot, &SnapshotRecord::id);
  if (record != snapshots.end() && record->content == content.digest && record->size == content.size)
    return {};
  return corrupt(fmt::format("{}: {} is not what its image was made of", whose, content.snapshot.text()));
}

}  // namespace

Status check_contents(const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots) {
  for (const ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot)
      TRY(check_content(snapshots, device.name, device.content));
  }
  if (image.boot.kernel) TRY(check_content(snapshots, "the kernel", *image.boot.kernel));
  if (image.boot.ramdisk) TRY(check_content(snapshots, "the RAM disk", *image.boot.ramdisk));
  return {};
}

Result<std::vector<SnapshotRecord>> records_of(const ImageRecord& image, const SnapshotCatalog& catalog) {
  const std::vector<SnapshotId> ids = snapshots_of(image);
  std::vector<SnapshotRecord> records;
  records.reserve(ids.size());
  for (const SnapshotId id : ids) records.push_back(TRY(catalog.get(id)));
  return records;
}

Result<ImageCopyReport> copy_image(const ReadParts& source, const std::vector<SnapshotRecord>& snapshots,
                                   const StoreId& here, const WriteParts& target, ImageCatalog& there,
                                   const ImageRecord& original, const ImageCopyOptions& options,
                                   CopyProgress& progress, const std::stop_token& stop) {
  TRY(check_contents(original, snapshots));
  std::vector<SnapshotId> ids;
  ids.reserve(snapshots.size());
  NewIds new_ids;
  for (const SnapshotRecord& record : snapshots)
    ids.push_back(new_ids.emplace(record.id, SnapshotId{random_u64()}).first->second);
  const auto session = TRY(Session::begin(target.objects, target.config.id));
  ImageCopyReport report;
  report.image = copy_of(original, here, target, options, session->id());
  rename(report.image, new_ids);
  TRY(there.publish(report.image));
  auto copied = copy_snapshots(source, target, snapshots, ids, progress, stop);
  if (!copied.ok()) {
    best_effort(there.remove(report.image.id));
    return copied.take_error();
  }
  report.copy = copied.take();
  report.image = TRY(make_available(there, report.image.id));
  return report;
}

}  // namespace ashlar
