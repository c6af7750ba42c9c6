// Sessions: open sessions, as objects `sessions/<id>`, from the start of a capture to its end.
#pragma once

#include <memory>
#include <vector>

#include "format/session_record.h"
#include "io/object_store.h"

namespace ashlar {

// A writer's open session. Its record is removed when the object is destroyed.
class Session {
 public:
  static Result<std::unique_ptr<Session>> begin(ObjectStore& objects, const StoreId& store);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const SessionId& id() const { return record_.id; }
  // Returns ok while the record exists unchanged; kBusy when it was removed or replaced: then the writer must
  // not publish.
  Status check() const;

 private:
  Session(ObjectStore& objects, SessionRecord record) : objects_(objects), record_(std::move(record)) {}
  ObjectStore& objects_;
  SessionRecord record_;
};

Result<std::vector<SessionRecord>> list_sessions(ObjectStore& objects);
// Removes the records of sessions whose process on this host is certainly gone (another boot, no such pid, or
// a pid that was started at another time). Sessions of other hosts stay. Returns the number of removed
// records.
Result<std::size_t> remove_dead_sessions(ObjectStore& objects);

}  // namespace ashlar
