// Snapshots: capturing a source, and finding, comparing, verifying, restoring and deleting snapshots.
// Snapshots belong to the store: every account sees all of them. A missing one is kNotFound, kind
// kNoSuchSnapshot.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "action/caller.h"
#include "capture/capture.h"
#include "format/tags.h"
#include "repo/repo.h"
#include "restore/restore.h"
#include "scrub/verify.h"

namespace ashlar {

struct CaptureSource {
  enum class Parent : unsigned char {
    kNewest,  // the newest snapshot of the same source, if there is one; left aside when it is damaged
    kNone,
    kGiven,
  };
  std::string source;  // a disk image, a block device, an NBD URI, or "-" for standard input
  Parent parent = Parent::kNewest;
  SnapshotId given;                   // kGiven
  std::string bitmap;                 // dirty bitmap of an NBD source that says what changed; empty: none
  std::optional<ChangedMap> changed;  // a map of what changed, from elsewhere; not together with `bitmap`
  std::string change_token;
  std::vector<std::string> freeze;  // mount points that are frozen while the source is read
  bool live = false;                // capture although the source may be written to
  bool paranoid = false;
  bool skip_unreadable = false;
  std::optional<ByteCount> expected_bytes;  // of standard input
  std::string name;
  std::string description;
  Tags tags;
  unsigned threads = 0;  // 0: one per processor
};
// Captures a source as a snapshot. Fails with kBusy, kind kSourceInUse, when the source may be written to and
// is neither frozen nor `live`; with kInvalid for options that exclude each other. When it fails after the
// snapshot was published, because the source can't be thawed, the message names the snapshot.
Result<CaptureReport> capture_source(Repo& repo, const Caller& caller, const CaptureSource& request);

// Snapshots that can be read, oldest first, and those that can't, with what is wrong with them.
// A snapshot whose record could not be read.
struct UnreadSnapshot {
  SnapshotId id;
  Error why;  // kCorrupt: it is damaged; otherwise it may be sound
};
struct SnapshotList {
  std::vector<SnapshotRecord> records;
  std::vector<UnreadSnapshot> unread;
};
Result<SnapshotList> describe_snapshots(Repo& repo, const Caller& caller);
Result<SnapshotRecord> describe_snapshot(Repo& repo, const Caller& caller, SnapshotId id);

// Puts a snapshot into the recycle bin. Fails with kBusy while a volume or an image needs it.
Status delete_snapshot(Repo& repo, const Caller& caller, SnapshotId id);

// Calls `visit` with the block ranges in which two snapshots differ, ascending. `nodes_read` counts the nodes
// of manifests that were read, also on failure.
Status list_changed_blocks(Repo& repo, const Caller& caller, SnapshotId from, SnapshotId to,
                           const std::function<Status(BlockRange)>& visit, std::uint64_t& nodes_read);

// Reads all stored bytes that a snapshot needs, or all of the store, and reports what is damaged.
Result<VerifyReport> verify_stored(Repo& repo, const Caller& caller, std::optional<SnapshotId> snapshot);

struct Comparison {
  SnapshotRecord snapshot;
  std::vector<BlockRange> different;  // ascending, merged
};
// Compares a file or a device with a snapshot.
Result<Comparison> compare_with_target(Repo& repo, const Caller& caller, SnapshotId id,
                                       const std::string& target);

struct RestoreSnapshot {
  SnapshotId snapshot;
  std::string target;  // a new file, or an existing file or block device, outside the store
  bool delta = false;
  bool discard = false;
  bool verify = false;  // reads the target back and fails with kCorrupt unless it equals the snapshot
  bool force = false;   // overwrites known signatures
  unsigned threads = 0;
  bool skip_damaged = false;  // leaves out what can't be read, and names it in the report
};
struct Restored {
  SnapshotRecord snapshot;
  RestoreReport report;
  bool resumed = false;   // continued a partial file that an interrupted restore had left
  bool verified = false;  // all but what was left out
};
// Writes a snapshot to a target. Fails with kBusy when the target is mounted or in use, and, unless `force`,
// when it has a known signature; with kInvalid when it lies in the store; with kind kSnapshotHasLosses when
// the store can't give some of the bytes, unless `skip_damaged`.
Result<Restored> restore_to_target(Repo& repo, const Caller& caller, const RestoreSnapshot& request);
// Writes the bytes of a snapshot in order to a file descriptor.
Result<Restored> restore_to_stream(Repo& repo, const Caller& caller, SnapshotId id, int fd);

}  // namespace ashlar
