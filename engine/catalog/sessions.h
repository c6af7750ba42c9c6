// Open sessions: `sessions/<id>`, from the start of a capture to its end.
#pragma once

#include <memory>
#include <vector>

#include "format/session_record.h"
#include "io/object_store.h"

namespace ashlar {

// One writer's open session. Removed when destroyed.
class Session {
 public:
  static Result<std::unique_ptr<Session>> begin(ObjectStore& objects, const StoreId& store);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionId& id() const { return record_.id; }
  // Ok while the record is still there and still ours; kBusy when it was taken: then nothing may be
  // published.
  Status check() const;

 private:
  Session(ObjectStore& objects, SessionRecord record) : objects_(objects), record_(std::move(record)) {}
  ObjectStore& objects_;
  SessionRecord record_;
};

Result<std::vector<SessionRecord>> list_sessions(ObjectStore& objects);
// Removes the records of sessions whose process on this host is certainly gone (another boot, no such pid, or
// the pid started at another time). Sessions of other hosts are left alone. Returns how many were removed.
Result<std::size_t> remove_dead_sessions(ObjectStore& objects);

}  // namespace ashlar
