// SnapshotCatalog: the objects `snapshots/<id>`, which hold a snapshot from before it is published until it
// is purged (format/snapshot_life.h). Only published ones are seen as snapshots; a deleted one lies in the
// bin.
//
// Every change replaces the object only if it is unchanged. After an error other than kBusy and kNotFound a
// change may have been made; of a commit it is found out before the call returns.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "format/snapshot_life.h"
#include "io/object_store.h"

namespace ashlar {

// A deleted snapshot in the bin.
struct BinEntry {
  SnapshotId snapshot;
  UtcTime deleted;
  std::string name;
  friend bool operator==(const BinEntry&, const BinEntry&) = default;
};

class SnapshotCatalog {
 public:
  static constexpr std::string_view kFolder = "snapshots/";

  explicit SnapshotCatalog(ObjectStore& objects) : objects_(objects) {}
  static std::string key_of(SnapshotId id);

  // Returns a published snapshot. Fails with kNotFound ("no snapshot snap-… in this store") for any other;
  // names a damaged object.
  Result<SnapshotRecord> get(SnapshotId id) const;
  // Returns the ids of all objects, published or not.
  Result<std::vector<SnapshotId>> list_ids() const;
  // Returns all published snapshots, oldest first. An object that can't be read is named in `unread`.
  Result<std::vector<SnapshotRecord>> list(std::vector<std::string>& unread) const;
  // Returns ok when the snapshots are published and survive a loss of power: a snapshot can be seen shortly
  // before it is durable. A record that names snapshots is published after this. Fails like get().
  Status ensure_durable(const std::vector<SnapshotId>& ids) const;
  // Returns what the object holds. Fails with kNotFound when there is none.
  Result<SnapshotObject> read(SnapshotId id) const;

  // Announces a snapshot that is being made. Fails with kBusy when the id is taken.
  Status open(const OpenSnapshot& open);
  // Publishes a snapshot: the one commit. Fails with kBusy when it was taken away from its writer. Whatever
  // the error is, the snapshot is not published, unless the message says that this is not known.
  Status commit(const OpenSnapshot& open, const SnapshotRecord& record);
  // Ends a snapshot that is not published yet, or takes back one that no one was told of, and removes its
  // object. Returns ok when there is none, or when it was swept before.
  Status sweep(const SnapshotObject& object);

  // Replaces a published record, of which tags and incarnation may differ.
  Status replace(const SnapshotRecord& before, const SnapshotRecord& now);
  // Moves a snapshot to the bin. Fails with kNotFound when it is not published.
  Result<GoneSnapshot> move_to_bin(SnapshotId id, UtcTime deleted);
  // Takes a snapshot out of the bin and returns its record. Fails with kBusy when the object has changed.
  Result<SnapshotRecord> take_back(const GoneSnapshot& binned);
  // Returns a snapshot in the bin. Fails with kNotFound ("no snapshot snap-… in the bin") for any other.
  Result<GoneSnapshot> find_in_bin(SnapshotId id) const;
  // Returns what lies in the bin, oldest deletion first. Adds the errors of objects that can't be
  // read to `unread`.
  Result<std::vector<BinEntry>> list_bin(std::vector<Error>& unread) const;
  // Makes a binned snapshot a purged one, which can't come back. Fails with kBusy when it has changed.
  Result<GoneSnapshot> purge(const GoneSnapshot& binned);
  // Removes the object of a purged or swept snapshot. Returns ok when it is gone.
  Status remove(const GoneSnapshot& gone);

 private:
  // Replaces the object and finds out whether that happened: a call that fails, or whose answer is lost, may
  // have replaced it. Fails with kBusy when the object is another one than `before`.
  Status change(const SnapshotObject& before, const SnapshotObject& now);

  ObjectStore& objects_;
};

}  // namespace ashlar
