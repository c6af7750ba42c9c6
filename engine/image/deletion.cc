#include "image/deletion.h"

#include <fmt/format.h>

#include <set>

#include "catalog/sessions.h"
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

// Reads the users of snapshots. A user that is gone stays gone: a loss of power after a snapshot's deletion
// does not bring it back.
Result<SnapshotUsers> users_for_good(ObjectStore& objects) {
  SnapshotUsers users = TRY(SnapshotUsers::read(objects));
  const std::vector<std::string> folders{std::string(VolumeKind::kFolder), std::string(ImageKind::kFolder)};
  TRY(objects.ensure_durable(folders).with_context("make records durable"));
  return users;
}

}  // namespace

// Deletes snapshots in an order that is safe when a volume or an image is made on one at the same time. The
// maker of either looks for the snapshot after publishing, and this function looks for users after moving the
// snapshot to the bin, so at least one of them sees the other; when both went ahead, the snapshot is taken
// back.
std::vector<Status> delete_snapshots(ObjectStore& objects, const std::vector<SnapshotId>& ids) {
  SnapshotCatalog snapshots(objects);
  std::vector<Status> done(ids.size());
  std::vector<std::pair<std::size_t, GoneSnapshot>> moved;
  const auto before = users_for_good(objects);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    done[i] = before.ok() ? before.value().check_unused(ids[i]) : Status(before.error());
    if (!done[i].ok()) continue;
    auto one = snapshots.move_to_bin(ids[i], UtcTime::now());
    if (one.ok()) {
      moved.emplace_back(i, one.take());
    } else {
      done[i] = one.take_error();
    }
  }
  if (moved.empty()) return done;
  const auto after = SnapshotUsers::read(objects);
  for (const auto& [i, binned] : moved) {
    done[i] = after.ok() ? after.value().check_unused(ids[i]) : Status(after.error());
    if (done[i].ok()) continue;
    const auto back = snapshots.take_back(binned);
    if (!back.ok() && !is(back, ErrorCode::kBusy)) done[i] = back.error();  // kBusy: restored meanwhile
  }
  return done;
}

Status delete_snapshot(ObjectStore& objects, SnapshotId id) {
  return delete_snapshots(objects, {id}).front();
}

Result<SnapshotRecord> restore_snapshot(ObjectStore& objects, SnapshotId id) {
  SnapshotCatalog snapshots(objects);
  return snapshots.take_back(TRY(snapshots.find_in_bin(id)));
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
  const auto in_bin = SnapshotCatalog(objects).find_in_bin(snapshot);
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
  TRY(snapshots.ensure_durable(snapshots_of(before)));
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

void take_in(BinTimes& times, UtcTime created, std::optional<UtcTime> deleted) {
  times.newest = std::max({times.newest, created, deleted.value_or(UtcTime{})});
  if (deleted) times.oldest_deletion = std::min(times.oldest_deletion, *deleted);
}

// The objects of snapshots that are not published. Purges those that were deleted at or before a time, and
// removes what is left of others: purged ones that no writer stands on any more, swept ones, and those whose
// writer is gone.
class SnapshotPurge {
 public:
  explicit SnapshotPurge(ObjectStore& objects) : objects_(objects) {}

  // Everything is read before the users are: a volume or an image that is made later finds its snapshot
  // deleted already.
  Status read(BinTimes& times, std::vector<Error>& unread) {
    for (const SnapshotId id : TRY(snapshots_.list_ids())) {
      const auto object = snapshots_.read(id);
      if (is(object, ErrorCode::kNotFound)) continue;  // gone meanwhile
      if (!object.ok()) {
        unread.push_back(object.error());
        continue;
      }
      const SnapshotRecord* record = record_of(object.value());
      const auto* gone = std::get_if<GoneSnapshot>(&object.value());
      if (record != nullptr)
        take_in(times, record->created, gone == nullptr ? std::nullopt : std::optional(gone->deleted));
      if (const auto* open = std::get_if<OpenSnapshot>(&object.value())) open_.push_back(*open);
      if (gone != nullptr) (gone->state == GoneState::kBinned ? binned_ : ended_).push_back(*gone);
    }
    return {};
  }

  Status run(UtcTime until, Purged& purged) {
    for (const OpenSnapshot& open : open_) TRY(end_without_writer(open));
    std::erase_if(binned_, [until](const GoneSnapshot& one) { return one.deleted > until; });
    if (!binned_.empty()) TRY(purge(purged));
    return remove_ended();
  }

 private:
  // The session is looked for after the open record was read: a session is there before what it opens.
  Status end_without_writer(const OpenSnapshot& open) {
    const auto session = find_session(objects_, open.session);
    const bool is_over = session.ok() ? session.value().has_ended() : is(session, ErrorCode::kNotFound);
    if (!is_over) return {};
    Status swept = snapshots_.sweep(open);
    return is(swept, ErrorCode::kBusy) ? Status() : swept;  // published before its session ended
  }

  // A snapshot that is in use although it lies in the bin (its deletion was cut off) is taken back.
  Status purge(Purged& purged) {
    const SnapshotUsers users = TRY(users_for_good(objects_));
    for (const GoneSnapshot& binned : binned_) {
      Status done;
      if (users.check_unused(binned.id).ok()) {
        auto now = snapshots_.purge(binned);
        if (now.ok()) {
          purged.snapshots.push_back(binned.id);
          best_effort(TraceCatalog(objects_).remove(binned.id));  // a trace is advice: losing it costs time
          ended_.push_back(now.take());
        } else {
          done = now.take_error();
        }
      } else {
        const auto back = snapshots_.take_back(binned);
        if (!back.ok()) done = back.error();
      }
      // Restored, or purged by another program, meanwhile.
      if (!done.ok() && !is(done, ErrorCode::kBusy) && !is(done, ErrorCode::kNotFound)) return done;
    }
    return {};
  }

  // A writer that stands on a purged snapshot named it in its session before it read it, and so is seen here.
  Status remove_ended() {
    if (ended_.empty()) return {};
    std::vector<Error> unread;
    std::set<SnapshotId> bases;
    for (const SessionRecord& session : TRY(list_sessions(objects_, unread))) {
      if (!session.has_ended()) bases.insert(session.bases.begin(), session.bases.end());
    }
    for (const GoneSnapshot& gone : ended_) {
      const bool is_needed = gone.state == GoneState::kPurged && (!unread.empty() || bases.contains(gone.id));
      if (!is_needed) TRY(snapshots_.remove(gone));
    }
    return {};
  }

  ObjectStore& objects_;
  SnapshotCatalog snapshots_{objects_};
  std::vector<OpenSnapshot> open_;
  std::vector<GoneSnapshot> binned_;
  std::vector<GoneSnapshot> ended_;  // swept or purged
};

// Returns the images that lie in the bin or were purged and not removed.
Result<std::vector<ImageRecord>> retired_images(const ImageCatalog& images, BinTimes& times,
                                                std::vector<Error>& unread) {
  std::vector<ImageRecord> retired;
  for (const ImageId id : TRY(images.list_ids())) {
    auto record = images.get(id);
    if (is(record, ErrorCode::kNotFound)) continue;  // gone meanwhile
    if (!record.ok()) {
      unread.push_back(record.take_error());
      continue;
    }
    take_in(times, record.value().created, record.value().deregistered);
    if (record.value().deregistered || record.value().state == ImageState::kPurged)
      retired.push_back(record.take());
  }
  return retired;
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

Result<Purged> purge_bin(ObjectStore& objects, UtcTime until,
                         const std::function<Status(const BinTimes&)>& allow) {
  Purged purged;
  BinTimes times;
  SnapshotPurge snapshots(objects);
  TRY(snapshots.read(times, purged.unread));
  ImageCatalog images(objects);
  const std::vector<ImageRecord> retired = TRY(retired_images(images, times, purged.unread));
  if (allow) TRY(allow(times));
  TRY(snapshots.run(until, purged));
  for (const ImageRecord& record : retired) {
    const bool is_old = record.deregistered && *record.deregistered <= until;
    if (is_old || record.state == ImageState::kPurged) TRY(purge_image(images, record, purged));
  }
  return purged;
}

}  // namespace ashlar
