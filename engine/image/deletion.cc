#include "image/deletion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "catalog/traces.h"
#include "image/access.h"
#include "image/snapshot_users.h"

namespace ashlar {
namespace {

Result<bool> is_there(const SnapshotCatalog& snapshots, SnapshotId id) {
  const auto record = snapshots.get(id);
  if (record.ok()) return true;
  if (record.error().code() == ErrorCode::kNotFound) return false;
  return record.error();
}

// A snapshot whose record this call moved to the bin.
struct Moved {
  SnapshotRecord record;
  BinEntry entry;
};

// Fails for a record that can't be read: nothing is removed that was not understood. A restore that saw the
// snapshot still there may take the new entry out of the bin: so the entry is looked for after the removal,
// too.
Result<Moved> move_to_bin(ObjectStore& objects, SnapshotId id) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  Moved moved{TRY(snapshots.get(id)), {id, UtcTime::now()}};
  TRY(bin.put(moved.record, moved.entry.deleted));
  TRY(snapshots.remove(id));
  if (!TRY(bin.has(moved.entry))) TRY(bin.put(moved.record, moved.entry.deleted));
  return moved;
}

Status put_back(ObjectStore& objects, const Moved& moved) {
  TRY(SnapshotCatalog(objects).publish(moved.record));
  return SnapshotBin(objects).remove(moved.entry);
}

}  // namespace

// Deletes snapshots in an order that is safe when a volume or an image is made on one at the same time. The
// maker of either looks for the snapshot after publishing, and this function looks for users after removing,
// so at least one of them sees the other; when both went ahead, the record is put back.
std::vector<Status> delete_snapshots(ObjectStore& objects, const std::vector<SnapshotId>& ids) {
  std::vector<Status> done(ids.size());
  std::vector<std::pair<std::size_t, Moved>> moved;
  const auto before = SnapshotUsers::read(objects);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    done[i] = before.ok() ? before.value().check_unused(ids[i]) : Status(before.error());
    if (!done[i].ok()) continue;
    auto one = move_to_bin(objects, ids[i]);
    if (one.ok()) {
      moved.emplace_back(i, one.take());
    } else {
      done[i] = one.take_error();
    }
  }
  if (moved.empty()) return done;
  const auto after = SnapshotUsers::read(objects);
  for (const auto& [i, one] : moved) {
    done[i] = after.ok() ? after.value().check_unused(ids[i]) : Status(after.error());
    if (done[i].ok()) continue;
    Status back = put_back(objects, one);
    if (!back.ok()) done[i] = std::move(back);
  }
  return done;
}

Status delete_snapshot(ObjectStore& objects, SnapshotId id) {
  return delete_snapshots(objects, {id}).front();
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

namespace {

// Returns why an image can't be restored without a snapshot that is not in its place. kBusy when the snapshot
// is in the bin, and can be restored first.
Error missing_snapshot(ObjectStore& objects, SnapshotId snapshot, ImageId image) {
  const auto in_bin = SnapshotBin(objects).find(snapshot);
  if (in_bin.ok())
    return busy(fmt::format("{} is in the bin, and {} needs it", snapshot.text(), image.text()))
        .about(ErrorKind::kNoSuchSnapshot, snapshot.text());
  if (!is(in_bin, ErrorCode::kNotFound)) return in_bin.error();
  return not_found(fmt::format("{} is neither in this store nor in its bin, and {} needs it", snapshot.text(),
                               image.text()))
      .about(ErrorKind::kNotInBin, snapshot.text());
}

}  // namespace

// Restores an image. A snapshot may be deleted meanwhile, as with a new image: so the snapshots are looked
// for before and after the change.
Result<ImageRecord> restore_image(ObjectStore& objects, ImageId id) {
  ImageCatalog images(objects);
  const SnapshotCatalog snapshots(objects);
  const ImageRecord before = TRY(images.get(id));
  if (before.state != ImageState::kDeregistered)
    return invalid(id.text() + " is not in the bin").about(ErrorKind::kNotInBin, id.text());
  const auto look = [&]() -> Status {
    for (const SnapshotId snapshot : snapshots_of(before)) {
      if (!TRY(is_there(snapshots, snapshot))) return missing_snapshot(objects, snapshot, id);
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

using BinEntries = std::map<SnapshotId, std::vector<BinEntry>>;

Result<BinEntries> entries_by_snapshot(const SnapshotBin& bin) {
  BinEntries entries;
  for (const BinEntry& entry : TRY(bin.all())) entries[entry.snapshot].push_back(entry);
  return entries;
}

UtcTime last_deletion(const std::vector<BinEntry>& entries) {
  return std::ranges::max_element(entries, {}, &BinEntry::deleted)->deleted;
}

// Returns whether this call removed the entry of the last deletion. Another purge may remove entries at the
// same time: only one of the two gets true.
Result<bool> remove_all(SnapshotBin& bin, const std::vector<BinEntry>& entries) {
  const UtcTime last = last_deletion(entries);
  bool removed_last = false;
  for (const BinEntry& entry : entries) {
    const bool was_there = TRY(bin.take_out(entry));
    if (entry.deleted == last) removed_last = was_there;
  }
  return removed_last;
}

// Publishes a snapshot that is in use although it lies in the bin. Another purge may have done so already,
// and may have removed the entry since.
Status put_back_used(SnapshotCatalog& snapshots, const SnapshotBin& bin, const BinEntry& entry) {
  auto record = bin.get(entry);
  if (is(record, ErrorCode::kNotFound)) return {};
  Status published = snapshots.publish(TRY(std::move(record)));
  return is(published, ErrorCode::kBusy) ? Status() : published;
}

// Purges old entries. First it is seen which snapshots are gone from their place, then the bin is read once
// more: a snapshot that was restored, or restored and deleted again, meanwhile keeps its entries. The users
// are read last. A snapshot that is in use although it lies in the bin (its deletion was cut off) is put
// back.
Status purge_snapshots(ObjectStore& objects, UtcTime until, Purged& purged) {
  SnapshotCatalog snapshots(objects);
  SnapshotBin bin(objects);
  BinEntries gone;
  for (auto& [id, entries] : TRY(entries_by_snapshot(bin))) {
    if (last_deletion(entries) > until) continue;
    if (TRY(is_there(snapshots, id))) {
      TRY(remove_all(bin, entries));
    } else {
      gone.emplace(id, std::move(entries));
    }
  }
  if (gone.empty()) return {};
  const BinEntries now = TRY(entries_by_snapshot(bin));
  const SnapshotUsers users = TRY(SnapshotUsers::read(objects));
  for (const auto& [id, entries] : gone) {
    const auto still = now.find(id);
    const UtcTime deleted = last_deletion(entries);
    if (still == now.end() || last_deletion(still->second) != deleted) continue;
    const bool is_unused = users.check_unused(id).ok();
    if (is_unused) {
      best_effort(TraceCatalog(objects).remove(id));  // a trace is advice: losing it costs time
    } else {
      TRY(put_back_used(snapshots, bin, {id, deleted}));
    }
    const bool removed_last = TRY(remove_all(bin, entries));
    if (is_unused && removed_last) purged.snapshots.push_back(id);
  }
  return {};
}

// Marks an image before it is removed, and only when its record is unchanged: so a restore at the same time
// wins. An image that is gone was removed by another purge, which reports it.
Status purge_image(ImageCatalog& images, const ImageRecord& record, Purged& purged) {
  ImageRecord marked = record;
  marked.state = ImageState::kPurged;
  marked.former_state = ImageState::kAvailable;
  marked.deregistered.reset();
  const auto done = record == marked ? Result(record) : images.replace(record, marked);
  if (is(done, ErrorCode::kBusy)) return {};  // restored meanwhile, or marked by another purge
  if (is(done, ErrorCode::kNotFound)) return {};
  if (!done.ok()) return done.error();
  Status removed = images.remove(record.id);
  if (is(removed, ErrorCode::kNotFound)) return {};
  TRY(std::move(removed));
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
