#include "image/deletion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "catalog/traces.h"
#include "image/access.h"
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
  return record.error();
}

}  // namespace

// Deletes a snapshot in an order that is safe when a volume or an image is made on it at the same time. The
// maker of either looks for the snapshot after publishing, and this function looks for users after removing,
// so at least one of them sees the other; when both went ahead, the record is put back. A restore that saw
// the snapshot still there may take the new entry out of the bin: so the entry is looked for after the
// removal, too.
Status delete_snapshot(ObjectStore& objects, SnapshotId id) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  TRY(refuse_if_used(objects, id));
  const auto record = snapshots.get(id);
  // A damaged record is of no use in the bin, so none is put there.
  if (is(record, ErrorCode::kNotFound)) return record.error();
  const BinEntry entry{id, UtcTime::now()};
  if (record.ok()) TRY(bin.put(record.value(), entry.deleted));
  TRY(snapshots.remove(id));
  if (!record.ok()) return {};
  if (!TRY(bin.has(entry))) TRY(bin.put(record.value(), entry.deleted));
  Status unused = refuse_if_used(objects, id);
  if (unused.ok()) return {};
  TRY(snapshots.publish(record.value()));
  TRY(bin.remove(entry));
  return unused;
}

// Removes only entries that were there before: an entry that comes meanwhile belongs to a newer deletion.
Result<SnapshotRecord> restore_snapshot(ObjectStore& objects, SnapshotId id) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  const std::vector<BinEntry> before = TRY(bin.all());
  SnapshotRecord record = TRY(bin.get(TRY(bin.find(id))));
  if (!TRY(is_there(snapshots, id))) TRY(snapshots.publish(record));
  for (const BinEntry& entry : before) {
    if (entry.snapshot == id) TRY(bin.remove(entry));
  }
  return record;
}

Status deregister(ImageRecord& record, UtcTime now) {
  if (is_retired(record)) return invalid(record.id.text() + " is deregistered");
  if (record.state == ImageState::kPending)
    return busy(record.id.text() + " is still being made: wait for it, or stop the program that makes it");
  record.former_state = record.state;
  record.state = ImageState::kDeregistered;
  record.deregistered = now;
  return {};
}

// Restores an image. A snapshot may be deleted meanwhile, as with a new image: so the snapshots are looked
// for before and after the change.
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
  now.state = before.former_state;
  now.former_state = ImageState::kAvailable;
  now.deregistered.reset();
  if (now.state != ImageState::kFailed) now.state_reason.clear();
  now = TRY(images.replace(before, now));
  Status complete = look();
  if (complete.ok()) return now;
  ImageRecord again = now;
  again.state = before.state;
  again.former_state = before.former_state;
  again.state_reason = before.state_reason;
  again.deregistered = before.deregistered;
  TRY(images.replace(now, again));
  return complete.take_error();
}

namespace {

// Purges old entries. A snapshot that is in use although it lies in the bin (its deletion was cut off) is put
// back.
Status purge_snapshots(ObjectStore& objects, UtcTime until, Purged& purged) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  std::map<SnapshotId, std::vector<BinEntry>> entries;
  for (const BinEntry& entry : TRY(bin.all())) entries[entry.snapshot].push_back(entry);
  for (const auto& [id, of_one] : entries) {
    const BinEntry last = *std::ranges::max_element(of_one, {}, &BinEntry::deleted);
    if (last.deleted > until) continue;
    if (!TRY(is_there(snapshots, id))) {
      const auto now = bin.find(id);
      if (is(now, ErrorCode::kNotFound)) continue;  // restored meanwhile
      if (!now.ok()) return now.error();
      if (now.value().deleted != last.deleted) continue;  // restored, and deleted once more, meanwhile
      const Status unused = refuse_if_used(objects, id);
      if (!unused.ok() && unused.error().code() != ErrorCode::kBusy) return unused.error();
      if (!unused.ok()) {
        TRY(snapshots.publish(TRY(bin.get(last))));
      } else {
        best_effort(TraceCatalog(objects).remove(id));  // a trace is advice: losing it costs time
        purged.snapshots.push_back(id);
      }
    }
    for (const BinEntry& entry : of_one) TRY(bin.remove(entry));
  }
  return {};
}

// Marks an image before it is removed, and only when its record is unchanged: so a restore at the same time
// wins.
Status purge_image(ImageCatalog& images, const ImageRecord& record, Purged& purged) {
  ImageRecord marked = record;
  marked.state = ImageState::kPurged;
  marked.former_state = ImageState::kAvailable;
  marked.deregistered.reset();
  const auto done = record == marked ? Result(record) : images.replace(record, marked);
  if (is(done, ErrorCode::kBusy)) return {};  // restored meanwhile
  if (!done.ok()) return done.error();
  TRY(images.remove(record.id));
  purged.images.push_back(record.id);
  return {};
}

}  // namespace

Result<Purged> purge_bin(ObjectStore& objects, UtcTime until) {
  Purged purged;
  TRY(purge_snapshots(objects, until, purged));
  ImageCatalog images(objects);
  for (const ImageId id : TRY(images.list_ids())) {
    const auto record = images.get(id);
    if (!record.ok()) continue;
    const bool is_old = record.value().deregistered && *record.value().deregistered <= until;
    if (is_old || record.value().state == ImageState::kPurged)
      TRY(purge_image(images, record.value(), purged));
  }
  return purged;
}

}  // namespace ashlar
