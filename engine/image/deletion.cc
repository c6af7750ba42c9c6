#include "image/deletion.h"

#include <fmt/format.h>

#include "catalog/traces.h"
#include "image/register.h"

namespace ashlar {
namespace {

Status refuse_if_used(ObjectStore& objects, SnapshotId id) {
  if (const auto volume = TRY(volume_on(VolumeCatalog(objects), id)))
    return busy(fmt::format("{} is in use by {}: delete that volume first", id.text(), volume->text()));
  if (const auto image = TRY(image_on(ImageCatalog(objects), id)))
    return busy(fmt::format("{} is in use by {}: deregister that image first", id.text(), image->text()));
  return {};
}

Result<bool> is_there(const SnapshotCatalog& snapshots, SnapshotId id) {
  const auto record = snapshots.get(id);
  if (record.ok()) return true;
  if (record.error().code() == ErrorCode::kNotFound) return false;
  return Error(record.error().code(), record.error().text());
}

}  // namespace

// A volume or an image may be made on the snapshot at this very moment: whoever makes one looks for the
// snapshot after publishing, and we look for users after removing. If both came through, the record is put
// back.
Status delete_snapshot(ObjectStore& objects, SnapshotId id) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  TRY(refuse_if_used(objects, id));
  const auto record = snapshots.get(id);
  // A damaged record is of no use in the bin.
  if (!record.ok() && record.error().code() == ErrorCode::kNotFound)
    return Error(record.error().code(), record.error().text());
  if (record.ok()) TRY(bin.put(record.value(), UtcTime::now()));
  TRY(snapshots.remove(id));
  Status unused = refuse_if_used(objects, id);
  if (unused.ok() || !record.ok()) return unused;
  TRY(snapshots.publish(record.value()));
  TRY(bin.remove(id));
  return unused;
}

Result<SnapshotRecord> restore_snapshot(ObjectStore& objects, SnapshotId id) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  SnapshotRecord record = TRY(bin.get(TRY(bin.find(id))));
  if (!TRY(is_there(snapshots, id))) TRY(snapshots.publish(record));
  TRY(bin.remove(id));
  return record;
}

// As with a new image, a snapshot may be deleted at this very moment.
Result<ImageRecord> restore_image(ObjectStore& objects, ImageId id) {
  ImageCatalog images(objects);
  const SnapshotCatalog snapshots(objects);
  const ImageRecord before = TRY(images.get(id));
  if (before.state != ImageState::kDeregistered) return invalid(id.text() + " is not in the bin");
  const auto look = [&]() -> Status {
    for (const SnapshotId snapshot : snapshots_of(before)) {
      auto there = snapshots.get(snapshot);
      if (!there.ok()) return there.take_error().with_context(id.text() + " needs it: restore it first");
    }
    return {};
  };
  TRY(look());
  ImageRecord now = before;
  now.state = ImageState::kAvailable;
  now.deregistered.reset();
  now = TRY(images.replace(before, now));
  Status complete = look();
  if (complete.ok()) return now;
  ImageRecord again = now;
  again.state = before.state;
  again.deregistered = before.deregistered;
  TRY(images.replace(now, again));
  return complete.take_error();
}

Result<Purged> purge_bin(ObjectStore& objects, UtcTime until) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  Purged purged;
  for (const BinEntry& entry : TRY(bin.list())) {
    if (entry.deleted > until) continue;
    if (!TRY(is_there(snapshots, entry.snapshot))) {
      (void)TraceCatalog(objects).remove(entry.snapshot).ok();  // advice: losing it costs time
      purged.snapshots.push_back(entry.snapshot);
    }
    TRY(bin.remove(entry.snapshot));
  }
  ImageCatalog images(objects);
  for (const ImageId id : TRY(images.list_ids())) {
    const auto record = images.get(id);
    if (!record.ok() || record.value().state != ImageState::kDeregistered) continue;
    if (*record.value().deregistered > until) continue;
    TRY(images.remove(id));
    purged.images.push_back(id);
  }
  return purged;
}

}  // namespace ashlar
