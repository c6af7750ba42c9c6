#include "catalog/sessions.h"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "base/random.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

constexpr std::string_view kFolder = "sessions/";

std::string key_of(const SessionId& id) { return fmt::format("{}{}", kFolder, id.hex()); }

// Reads the record of a key. Returns no value when it is gone, which is not an error: sessions end at any
// time.
Result<std::optional<SessionRecord>> read_record(ObjectStore& objects, const std::string& key) {
  auto bytes = get_object(objects, key, kMaxSessionRecordBytes);
  if (is(bytes, ErrorCode::kNotFound)) return std::optional<SessionRecord>();
  if (!bytes.ok()) return bytes.take_error();
  SessionRecord record = TRY(decode_session_record(bytes.value()).with_context(key));
  if (key_of(record.id) != key)
    return corrupt(fmt::format("{}: holds the record of session {}", key, record.id.hex()));
  return std::optional(std::move(record));
}

// Returns the keys of session records. Objects with other names in the folder are ignored.
Result<std::vector<std::string>> session_keys(ObjectStore& objects) {
  std::vector<std::string> keys;
  TRY(objects.list(kFolder, [&](const ObjectInfo& object) -> Status {
    if (SessionId::parse(std::string_view(object.key).substr(kFolder.size())).ok())
      keys.push_back(object.key);
    return {};
  }));
  return keys;
}

Result<bool> certainly_dead(const SessionRecord& record, const ProcessIdentity& self,
                            const std::string& place) {
  if (record.host != place) return false;
  if (record.boot != self.boot) return true;
  const auto start = TRY(process_start(record.pid));
  return !start || *start != record.pid_started;
}

}  // namespace

Result<std::unique_ptr<Session>> Session::begin(ObjectStore& objects, const StoreId& store) {
  const ProcessIdentity self = TRY(this_process());
  SessionRecord record;
  record.id = random_id<SessionId>();
  record.store = store;
  record.started = UtcTime::now();
  record.boot = self.boot;
  record.pid = self.pid;
  record.pid_started = self.pid_started;
  record.host = pid_namespace_name();
  TRY(objects.put_if_absent(key_of(record.id), encode(record)).with_context("open a session"));
  return std::unique_ptr<Session>(new Session(objects, std::move(record)));
}

// A record that cannot be removed stays until remove_dead_sessions() finds its process gone.
Session::~Session() { best_effort(objects_.remove(key_of(record_.id))); }

Status Session::check() const {
  auto found = read_record(objects_, key_of(record_.id));
  if (!found.ok()) return found.take_error().with_context("check the session");
  if (!found.value())
    return busy("another program removed this session's record: nothing may be published, run again");
  if (*found.value() != record_)
    return busy("another program took over this session's record: nothing may be published, run again");
  return {};
}

Result<std::vector<SessionRecord>> list_sessions(ObjectStore& objects) {
  std::vector<SessionRecord> records;
  for (const std::string& key : TRY(session_keys(objects))) {
    if (auto record = TRY(read_record(objects, key))) records.push_back(std::move(*record));
  }
  return records;
}

Result<std::size_t> remove_dead_sessions(ObjectStore& objects) {
  const ProcessIdentity self = TRY(this_process());
  const std::string place = pid_namespace_name();
  std::size_t removed = 0;
  for (const std::string& key : TRY(session_keys(objects))) {
    auto found = read_record(objects, key);
    if (!found.ok()) {
      // A record that cannot be decoded does not show whether its process lives.
      const ErrorCode code = found.error().code();
      if (code != ErrorCode::kCorrupt && code != ErrorCode::kUnsupported) return found.take_error();
      continue;
    }
    const std::optional<SessionRecord> record = found.take();
    if (!record || !TRY(certainly_dead(*record, self, place))) continue;
    Status status = objects.remove(key);
    // Another process removed it first.
    if (is(status, ErrorCode::kNotFound)) continue;
    TRY(std::move(status));
    ++removed;
  }
  return removed;
}

}  // namespace ashlar
