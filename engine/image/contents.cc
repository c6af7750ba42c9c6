#include "image/contents.h"

#include <algorithm>

namespace ashlar {
namespace {

Error differs(const ImageContent& content) {
  return corrupt(content.snapshot.text() + " is not what its image was made of");
}

}  // namespace

Status check_content(const ImageContent& content, const SnapshotRecord& snapshot) {
  const bool is_it =
      snapshot.id == content.snapshot && snapshot.content == content.digest && snapshot.size == content.size;
  return is_it ? Status() : differs(content);
}

Status check_content(const ImageContent& content, const SnapshotCatalog& snapshots) {
  return check_content(content, TRY(snapshots.get(content.snapshot)));
}

Status visit_contents(const ImageRecord& image, const VisitContent& visit) {
  for (const ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot) TRY(visit(device.name, device.content));
  }
  if (image.boot.kernel) TRY(visit("the kernel", *image.boot.kernel));
  if (image.boot.ramdisk) TRY(visit("the RAM disk", *image.boot.ramdisk));
  return {};
}

Status check_contents(const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots) {
  return visit_contents(image, [&](std::string_view place, const ImageContent& content) -> Status {
    const auto record = std::ranges::find(snapshots, content.snapshot, &SnapshotRecord::id);
    Status same = record == snapshots.end() ? differs(content) : check_content(content, *record);
    return std::move(same).with_context(place);
  });
}

Result<std::vector<SnapshotRecord>> records_of(const ImageRecord& image, const SnapshotCatalog& catalog) {
  const std::vector<SnapshotId> ids = snapshots_of(image);
  std::vector<SnapshotRecord> records;
  records.reserve(ids.size());
  for (const SnapshotId id : ids) records.push_back(TRY(catalog.get(id)));
  return records;
}

}  // namespace ashlar
