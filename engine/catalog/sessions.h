// Sessions: the writers that work on a store, as objects `sessions/<id>`. Page: docs/format/session.md.
//
// A writer begins a session before it looks at anything that it will build on, and names what it is about to
// publish and what it stands on. It publishes with commit(), which first beats: the beat replaces the
// session's own last bytes and is refused once the session was taken away. Taking a session away (revoke())
// replaces its record, then ends each snapshot that it names and has not published. So of a commit and a
// revocation exactly one wins, however long the writer slept; no clock decides.
//
// A beat also looks at the collection of the store. When packs were condemned since the last one, the session
// names those that it leans on already, and leans on none of the others from then on (pack/leaned_packs.h).
//
// The record of a session that stored something and did not publish it stays, as one that has ended, until
// the second collection after that: the next run finds what was stored.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "catalog/snapshots.h"
#include "format/session_record.h"
#include "io/object_store.h"
#include "pack/leaned_packs.h"

namespace ashlar {

inline constexpr std::chrono::seconds kBeatEvery{30};
// A session whose beat did not change for so long is silent. A writer that can't beat for a little less gives
// up.
inline constexpr std::chrono::minutes kSilentAfter{10};
inline constexpr std::chrono::minutes kGiveUpAfter{9};

// The purpose of a session.
struct SessionPlan {
  std::vector<SnapshotId> snapshots;  // to be published; fresh ids
  std::vector<SnapshotId> bases;      // what it stands on: published snapshots, or binned ones
};

// A writer's open session. Beats by itself. When it is destroyed, what it has not published is swept; then
// its record is removed, or ended when leave_packs() was called.
class Session {
 public:
  // Ends the sessions of processes of this host that are gone, and begins one. Fails with kNotFound when a
  // base is not there, and with kBusy, kind kSessionBeats, where one host at a time may write and another one
  // has an open session.
  static Result<std::unique_ptr<Session>> begin(ObjectStore& objects, const StoreId& store, SessionPlan plan);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionId& id() const { return id_; }
  // The packs of other sessions that this one leans on.
  LeanedPacks& leaned() { return leaned_; }
  // The session fails, and what it stored is left for a later run.
  void leave_packs() { leaves_packs_ = true; }
  // Stop is requested when the session was taken away, or could not beat for kGiveUpAfter: the work is in
  // vain.
  std::stop_token lost() const { return lost_.get_token(); }
  // Returns the error that the work ended with; that the session was taken away, if that is why it stopped.
  Error why(Error error) const;
  // Fails with kBusy when the session was taken away.
  Status beat();
  // Publishes snapshots that the plan named, in their order, up to the first that fails. Fails with kBusy
  // when the session was taken away.
  Status commit(const std::vector<SnapshotRecord>& records);

 private:
  Session(ObjectStore& objects, SessionRecord record);
  Status check_hosts();
  Status announce();
  Status see_collection(SessionRecord& next);
  void beat_until_stopped(const std::stop_token& stop);

  ObjectStore& objects_;
  SnapshotCatalog snapshots_;
  const SessionId id_;
  LeanedPacks leaned_;
  std::atomic<bool> leaves_packs_{false};
  std::mutex mutex_;                      // guards the members below
  SessionRecord record_;                  // as this writer last wrote it
  std::optional<SessionRecord> beating_;  // the next beat, while it is not known whether it passed
  std::vector<OpenSnapshot> open_;        // announced, not yet published
  std::condition_variable_any wake_;
  std::stop_source lost_;
  std::jthread beats_;
};

// Returns the ids of all sessions, also of those whose record can't be read.
Result<std::vector<SessionId>> list_session_ids(ObjectStore& objects);
// Returns the sessions; adds the errors of those that can't be read to `unread`.
Result<std::vector<SessionRecord>> list_sessions(ObjectStore& objects, std::vector<Error>& unread);
// Returns the ids of the sessions that have not ended, and of those whose record can't be read.
Result<std::set<SessionId>> list_living_sessions(ObjectStore& objects);
// Returns a session. Fails with kNotFound ("no session … in this store"), and with kCorrupt, kind
// kRecordDamaged, for a damaged record.
Result<SessionRecord> find_session(ObjectStore& objects, const SessionId& id);

// Returns whether the writer is certainly gone: it was a process of this boot and pid namespace that does not
// exist any more. No other sign is certain: clones of a machine carry the same names.
Result<bool> is_certainly_gone(const SessionRecord& session);

// Takes a session away from its writer, as it was when `session` was read, and ends it. Does nothing for one
// that has ended. Fails with kBusy when it has beaten since, and with kNotFound when its record is gone.
Status revoke(ObjectStore& objects, const SessionRecord& session);
// Notes that a collection has left the packs of a session that has ended.
Status pass_over(ObjectStore& objects, const SessionRecord& session);
// Removes the record of a session that was passed over.
Status forget_session(ObjectStore& objects, const SessionRecord& session);

// Moves the damaged record of a session to `damaged/`, ends what it has not published, and returns the key
// of its bytes. Fails with kBusy for a record that can be read.
Result<std::string> discard_session(ObjectStore& objects, const SessionId& id);

// Takes away the sessions of processes of this host that are certainly gone, and returns how many. Records
// that can't be read stay.
Result<std::size_t> end_dead_sessions(ObjectStore& objects);

}  // namespace ashlar
