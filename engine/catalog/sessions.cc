#include "catalog/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/threads.h"
#include "catalog/collections.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxDamagedSessionBytes = std::size_t{64} << 20U;  // it may be longer than any record
constexpr std::string_view kFolder = "sessions/";

std::string key_of(const SessionId& id) { return fmt::format("{}{}", kFolder, id.hex()); }

Error taken_away() {
  return busy("this session was taken away from the program: nothing was published, run again");
}

Result<SessionRecord> new_record(const StoreId& store, SessionPlan plan) {
  const ProcessIdentity self = TRY(this_process());
  SessionRecord record;
  record.id = random_id<SessionId>();
  record.store = store;
  record.started = UtcTime::now();
  record.boot = self.boot;
  record.pid = self.pid;
  record.pid_started = self.pid_started;
  record.host = pid_namespace_name();
  record.nonce = random_id<Nonce>();
  record.open_snapshots = std::move(plan.snapshots);
  record.bases = std::move(plan.bases);
  TRY(check_limits(record));
  return record;
}

// The session already names the base, so from here on a purge leaves it.
Status check_base(const SnapshotCatalog& snapshots, SnapshotId id) {
  const auto object = snapshots.read(id);
  if (!object.ok()) return object.error();
  if (record_of(object.value()) != nullptr) return {};
  return not_found(fmt::format("{} was deleted meanwhile", id.text()))
      .about(ErrorKind::kNoSuchSnapshot, id.text());
}

// Ends those of the snapshots that the session has announced and not published.
Status sweep_open(ObjectStore& objects, const SessionId& session, const std::vector<SnapshotId>& ids) {
  SnapshotCatalog snapshots(objects);
  for (const SnapshotId id : ids) {
    const auto object = snapshots.read(id);
    // A damaged object can't be replaced by its writer any more.
    if (is(object, ErrorCode::kNotFound) || is(object, ErrorCode::kCorrupt)) continue;
    if (!object.ok()) return object.error();
    const auto* open = std::get_if<OpenSnapshot>(&object.value());
    if (open == nullptr || open->session != session) continue;
    Status swept = snapshots.sweep(*open);
    if (!swept.ok() && !is(swept, ErrorCode::kBusy)) return swept;  // kBusy: it was committed meanwhile
  }
  return {};
}

// Gives a session another state. Fails with kBusy when its record is another one than `before`, with
// kNotFound when it is gone; a call that fails otherwise may have done it.
Result<SessionRecord> change_state(ObjectStore& objects, const SessionRecord& before, SessionState state) {
  SessionRecord now = before;
  now.state = state;
  now.nonce = random_id<Nonce>();
  Status done = objects.replace(key_of(before.id), encode(before), encode(now), Lasts::kWhilePowered);
  if (done.ok()) return now;
  const auto found = find_session(objects, before.id);
  if (found.ok() && found.value() == now) return now;  // the answer was lost
  return done.take_error();
}

}  // namespace

Session::Session(ObjectStore& objects, SessionRecord record)
    : objects_(objects),
      snapshots_(objects),
      id_(record.id),
      leaned_(objects, record.id),
      record_(std::move(record)) {}

Result<std::unique_ptr<Session>> Session::begin(ObjectStore& objects, const StoreId& store,
                                                SessionPlan plan) {
  // A session that can't be taken away hinders no writer.
  const auto ended = end_dead_sessions(objects);
  best_effort(ended.ok() ? Status() : Status(ended.error()));
  SessionRecord record = TRY(new_record(store, std::move(plan)));
  TRY(objects.put_if_absent(key_of(record.id), encode(record), Lasts::kWhilePowered)
          .with_context("begin a session"));
  std::unique_ptr<Session> session(new Session(objects, std::move(record)));
  TRY(session->check_hosts());
  // The collection is looked at behind that put: a collector that has raised the epoch since sees the
  // session.
  if (TRY(CollectionCatalog(objects).state()).epoch != 0) TRY(session->beat());
  TRY(session->announce());
  session->beats_ =
      start_thread([raw = session.get()](const std::stop_token& stop) { raw->beat_until_stopped(stop); });
  return session;
}

// When two hosts begin at once, each sees the other's session.
Status Session::check_hosts() {
  if (!TRY(objects_.needs_one_host())) return {};
  std::vector<Error> unread;
  for (const SessionRecord& other : TRY(list_sessions(objects_, unread))) {
    if (other.has_ended() || other.boot == record_.boot) continue;
    return busy(fmt::format(
                    "session {} of another host, {}, writes to this store, and on a network file system one "
                    "host at a time may",
                    other.id.hex(), other.host.substr(0, other.host.find(' '))))
        .about(ErrorKind::kSessionBeats, other.id.hex());
  }
  return {};
}

// The session names each snapshot before its object is made: who takes the session away finds all of them.
// The bases are looked at first: when one is missing, no object was made, and the id may be used by a later
// session.
Status Session::announce() {
  for (const SnapshotId base : record_.bases) TRY(check_base(snapshots_, base));
  for (const SnapshotId id : record_.open_snapshots) {
    const OpenSnapshot open{id, record_.store, id_, random_id<Nonce>()};
    TRY(snapshots_.open(open));
    open_.push_back(open);
  }
  return {};
}

// A record that can't be removed or ended stays until another process finds this one gone.
Session::~Session() {
  beats_ = {};
  const std::lock_guard guard(mutex_);
  for (const OpenSnapshot& open : open_) best_effort(snapshots_.sweep(open));
  if (leaves_packs_) {
    const auto ended = change_state(objects_, record_, SessionState::kEnded);
    best_effort(ended.ok() ? Status() : Status(ended.error()));
  } else {
    best_effort(objects_.remove(key_of(id_), Lasts::kWhilePowered));
  }
}

// In one epoch the first list is the longest: what it names stays excluded. A list that is gone belongs to a
// collection that has ended, so the state is another one by now.
Status Session::see_collection(SessionRecord& next) {
  constexpr int kTries = 10;
  const CollectionCatalog collections(objects_);
  for (int i = 0; i < kTries; ++i) {
    const CollectionState state = TRY(collections.state());
    if (state.epoch == record_.epoch) return {};
    std::set<PackId> condemned;
    if (state.phase != CollectionPhase::kIdle) {
      const auto list = collections.list_of(state);
      if (is(list, ErrorCode::kNotFound)) continue;
      if (!list.ok()) return list.error();
      for (const PackName& pack : list.value().packs) condemned.insert(pack.id);
    }
    next.keeps = leaned_.exclude(std::move(condemned));
    next.epoch = state.epoch;
    return check_limits(next);
  }
  return busy("collections of this store follow each other too fast");
}

// The bytes that are replaced are those of this writer's own last beat, never ones that were read: a record
// that others changed is not to be revived. A beat whose outcome is not known is sent again as it is: when it
// did pass, or passes late, the record holds these bytes.
Status Session::beat() {
  const std::lock_guard guard(mutex_);
  if (!beating_) {
    SessionRecord next = record_;
    TRY(see_collection(next).with_context("beat"));
    ++next.beat;
    next.nonce = random_id<Nonce>();
    beating_ = std::move(next);
  }
  Status done = objects_.replace(key_of(id_), encode(record_), encode(*beating_), Lasts::kWhilePowered);
  if (!done.ok()) {
    const auto found = find_session(objects_, id_);
    if (found.ok() && found.value() == *beating_) {
      done = {};
    } else if (is(found, ErrorCode::kNotFound) || (found.ok() && found.value() != record_)) {
      lost_.request_stop();
      return taken_away();
    }
  }
  if (!done.ok()) return std::move(done).with_context("beat");
  record_ = std::move(*beating_);
  beating_.reset();
  return {};
}

void Session::beat_until_stopped(const std::stop_token& stop) {
  auto last_success = std::chrono::steady_clock::now();
  std::mutex waiting;
  while (!stop.stop_requested()) {
    std::unique_lock lock(waiting);
    if (wake_.wait_for(lock, stop, kBeatEvery, [&] { return stop.stop_requested(); })) return;
    lock.unlock();
    if (beat().ok()) {
      last_success = std::chrono::steady_clock::now();
    } else if (std::chrono::steady_clock::now() - last_success > kGiveUpAfter) {
      lost_.request_stop();
    }
    if (lost_.stop_requested()) return;
  }
}

Error Session::why(Error error) const {
  return lost_.stop_requested() && error.code() == ErrorCode::kCancelled ? taken_away() : error;
}

// A record that was published is not taken back: a volume may stand on it already.
Status Session::commit(const std::vector<SnapshotRecord>& records) {
  {
    const std::lock_guard guard(mutex_);
    for (const SnapshotRecord& record : records) {
      if (std::ranges::find(open_, record.id, &OpenSnapshot::id) == open_.end())
        return invalid(fmt::format("{} was not announced", record.id.text()));
    }
  }
  TRY(beat());
  const std::lock_guard guard(mutex_);
  for (const SnapshotRecord& record : records) {
    const auto open = std::ranges::find(open_, record.id, &OpenSnapshot::id);
    TRY(snapshots_.commit(*open, record));
    open_.erase(open);
  }
  return {};
}

Result<std::vector<SessionId>> list_session_ids(ObjectStore& objects) {
  std::vector<SessionId> ids;
  TRY(objects.list(kFolder, [&](const ObjectInfo& object) -> Status {
    const auto id = SessionId::parse(std::string_view(object.key).substr(kFolder.size()));
    if (id.ok()) ids.push_back(id.value());  // any other name is not a session
    return {};
  }));
  return ids;
}

Result<SessionRecord> find_session(ObjectStore& objects, const SessionId& id) {
  const std::string key = key_of(id);
  auto bytes = get_object(objects, key, kMaxSessionRecordBytes);
  if (is(bytes, ErrorCode::kNotFound)) return not_found(fmt::format("no session {} in this store", id.hex()));
  const auto about = [&id](Error error) {
    return error.code() == ErrorCode::kCorrupt ? error.about(ErrorKind::kRecordDamaged, id.hex()) : error;
  };
  if (!bytes.ok()) return about(bytes.take_error());
  auto record = decode_session_record(bytes.value()).with_context(key);
  if (!record.ok()) return about(record.take_error());
  if (record.value().id != id)
    return about(corrupt(fmt::format("{}: holds the record of session {}", key, record.value().id.hex())));
  return record;
}

Result<std::vector<SessionRecord>> list_sessions(ObjectStore& objects, std::vector<Error>& unread) {
  std::vector<SessionRecord> records;
  for (const SessionId& id : TRY(list_session_ids(objects))) {
    auto record = find_session(objects, id);
    if (record.ok()) {
      records.push_back(record.take());
    } else if (!is(record, ErrorCode::kNotFound)) {  // sessions end at any time
      unread.push_back(record.take_error());
    }
  }
  return records;
}

Result<std::set<SessionId>> list_living_sessions(ObjectStore& objects) {
  std::set<SessionId> living;
  for (const SessionId& id : TRY(list_session_ids(objects))) {
    const auto record = find_session(objects, id);
    const bool has_ended = record.ok() ? record.value().has_ended() : is(record, ErrorCode::kNotFound);
    if (!has_ended) living.insert(id);
  }
  return living;
}

Result<bool> is_certainly_gone(const SessionRecord& session) {
  const ProcessIdentity self = TRY(this_process());
  if (session.host != pid_namespace_name() || session.boot != self.boot) return false;
  const auto start = TRY(process_start(session.pid));
  return !start || *start != session.pid_started;
}

// Once the record is replaced no beat passes, and so no new commit begins. A commit that began before is
// either published by now, or finds its open record swept.
Status revoke(ObjectStore& objects, const SessionRecord& session) {
  if (session.has_ended()) return {};
  SessionRecord now = session;
  if (session.state == SessionState::kOpen) {
    auto revoked = change_state(objects, session, SessionState::kRevoked);
    if (!revoked.ok()) return revoked.take_error().with_context("take a session away");
    now = revoked.take();
  }
  TRY(sweep_open(objects, now.id, now.open_snapshots));
  const auto ended = change_state(objects, now, SessionState::kEnded);
  return ended.ok() || is(ended, ErrorCode::kNotFound) ? Status() : Status(ended.error());
}

Status pass_over(ObjectStore& objects, const SessionRecord& session) {
  const auto done = change_state(objects, session, SessionState::kPassedOver);
  return done.ok() ? Status() : Status(done.error());
}

Status forget_session(ObjectStore& objects, const SessionRecord& session) {
  CHECK(session.state == SessionState::kPassedOver);
  return remove_if_there(objects, key_of(session.id));
}

Result<std::string> discard_session(ObjectStore& objects, const SessionId& id) {
  const std::string key = key_of(id);
  const ByteVector bytes = TRY(get_object(objects, key, kMaxDamagedSessionBytes));
  if (find_session(objects, id).ok()) return busy(key + " can be read again");
  std::string kept = fmt::format("damaged/{}.{}", id.hex(), UtcTime::now().unix_ns);
  TRY(objects.put_if_absent(kept, bytes));
  TRY(remove_if_there(objects, key));
  TRY(sweep_open(objects, id, TRY(SnapshotCatalog(objects).list_ids())));
  return kept;
}

Result<std::size_t> end_dead_sessions(ObjectStore& objects) {
  std::size_t ended = 0;
  Status first_error;
  std::vector<Error> unread;
  for (const SessionRecord& session : TRY(list_sessions(objects, unread))) {
    if (session.has_ended() || !TRY(is_certainly_gone(session))) continue;
    Status done = revoke(objects, session);
    const bool was_first = !is(done, ErrorCode::kNotFound) && !is(done, ErrorCode::kBusy);
    if (done.ok()) ++ended;
    if (!done.ok() && was_first && first_error.ok()) first_error = std::move(done);
  }
  if (!first_error.ok()) return first_error.take_error();
  return ended;
}

}  // namespace ashlar
