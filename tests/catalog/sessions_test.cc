#include "catalog/sessions.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "catalog/collections.h"
#include "catalog/records.h"
#include "process/process_identity.h"
#include "support/forwarding_objects.h"
#include "support/snapshots.h"

namespace ashlar {
namespace {

class Sessions : public testing::Test {
 protected:
  void SetUp() override { make_root(files_); }

  // Puts a session record of this process, after `change` has edited it, and returns its id.
  template <class Change>
  SessionId plant(Change change) {
    const ProcessIdentity self = this_process().take();
    SessionRecord record;
    record.id = random_id<SessionId>();
    record.boot = self.boot;
    record.pid = self.pid;
    record.pid_started = self.pid_started;
    record.host = pid_namespace_name();
    change(record);
    EXPECT_TRUE(objects_.put_if_absent("sessions/" + record.id.hex(), encode(record)).ok());
    return record.id;
  }
  bool is_living(const SessionId& id) { return list_living_sessions(objects_).take().contains(id); }
  std::unique_ptr<Session> begun(SessionPlan plan = {}) {
    return Session::begin(objects_, StoreId{}, std::move(plan)).take();
  }
  // Takes the session away, as it is now.
  Status take_away(const SessionId& id) { return revoke(objects_, find_session(objects_, id).take()); }
  bool has_object(SnapshotId id) { return snapshots_.read(id).ok(); }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
  SnapshotCatalog snapshots_{objects_};
};

TEST_F(Sessions, AreVisibleFromBeginningToEnd) {
  StoreId store;
  store.bytes[3] = std::byte{9};
  std::vector<Error> unread;
  EXPECT_TRUE(list_sessions(objects_, unread).take().empty());
  {
    const auto session =
        Session::begin(objects_, store, {{sample_record(1).id, sample_record(2).id}, {}}).take();
    const auto listed = list_sessions(objects_, unread).take();
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(listed[0].id, session->id());
    EXPECT_EQ(listed[0].store, store);
    EXPECT_EQ(listed[0].pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(listed[0].open_snapshots, (std::vector{sample_record(1).id, sample_record(2).id}));
    EXPECT_EQ(end_dead_sessions(objects_).take(), 0U) << "it lives";
    EXPECT_TRUE(session->beat().ok());
    EXPECT_EQ(find_session(objects_, session->id()).take().beat, 1U);
    EXPECT_TRUE(has_object(sample_record(1).id));
    EXPECT_TRUE(is(snapshots_.get(sample_record(1).id), ErrorCode::kNotFound)) << "nobody sees it";
  }
  EXPECT_TRUE(list_session_ids(objects_).take().empty());
  EXPECT_TRUE(snapshots_.list_ids().take().empty());
  EXPECT_TRUE(unread.empty());
}

TEST_F(Sessions, CommitPublishesWhatWasAnnouncedAndNothingElse) {
  auto session = begun({{sample_record(1).id, sample_record(2).id}, {}});
  EXPECT_TRUE(is(session->commit({sample_record(1), sample_record(3)}), ErrorCode::kInvalid));
  EXPECT_TRUE(snapshots_in(objects_).empty()) << "all or none";
  session.reset();
  session = begun({{sample_record(1).id, sample_record(2).id}, {}});
  ASSERT_TRUE(session->commit({sample_record(1)}).ok());
  session.reset();
  EXPECT_EQ(snapshots_in(objects_), std::vector{sample_record(1)});
  EXPECT_FALSE(has_object(sample_record(2).id)) << "what was not published is swept";
}

TEST_F(Sessions, OneThatWasTakenAwayPublishesNothing) {
  const auto session = begun({{sample_record(1).id}, {}});
  ASSERT_TRUE(take_away(session->id()).ok());
  EXPECT_FALSE(has_object(sample_record(1).id));
  EXPECT_FALSE(is_living(session->id()));
  const Status refused = session->commit({sample_record(1)});
  EXPECT_TRUE(is(refused, ErrorCode::kBusy));
  EXPECT_NE(refused.error().text().find("run again"), std::string::npos);
  EXPECT_TRUE(session->lost().stop_requested());
  EXPECT_TRUE(snapshots_in(objects_).empty());
}

// A later run finds what it has stored, and a collection can tell.
TEST_F(Sessions, OneThatLeavesItsPacksStaysAsAnEndedOne) {
  SessionId id;
  {
    const auto session = begun({{sample_record(1).id}, {}});
    id = session->id();
    session->leave_packs();
  }
  EXPECT_FALSE(has_object(sample_record(1).id));
  EXPECT_FALSE(is_living(id));
  const SessionRecord ended = find_session(objects_, id).take();
  EXPECT_EQ(ended.state, SessionState::kEnded);
  EXPECT_TRUE(revoke(objects_, ended).ok()) << "it is over already";
  ASSERT_TRUE(pass_over(objects_, ended).ok());
  ASSERT_TRUE(forget_session(objects_, find_session(objects_, id).take()).ok());
  EXPECT_TRUE(list_session_ids(objects_).take().empty());
}

TEST_F(Sessions, ABeatTellsWhichCondemnedPacksTheWriterKeeps) {
  PackId leaned;
  leaned.bytes.fill(std::byte{1});
  PackId other;
  other.bytes.fill(std::byte{2});
  overwrite(objects_, pack_key(PackKind::kData, leaned), as_byte_span("a pack"));
  const auto session = begun();
  ASSERT_TRUE(session->leaned().lean_on(PackKind::kData, leaned).take());
  CollectionCatalog collections(objects_);
  CollectionState state;
  state.epoch = 1;
  state.phase = CollectionPhase::kBarrier;
  state.list = collections.put_list({{}, 1, {{PackKind::kData, leaned}, {PackKind::kData, other}}}).take();
  state = collections.advance({}, state).take();
  ASSERT_TRUE(session->beat().ok());
  const SessionRecord record = find_session(objects_, session->id()).take();
  EXPECT_EQ(record.epoch, 1U);
  EXPECT_EQ(record.keeps, std::vector<PackId>{leaned});
  overwrite(objects_, pack_key(PackKind::kData, other), as_byte_span("a pack"));
  EXPECT_FALSE(session->leaned().lean_on(PackKind::kData, other).take());
  const auto late = begun();
  EXPECT_EQ(find_session(objects_, late->id()).take().epoch, 1U) << "one that begins now knows it at once";
  EXPECT_FALSE(late->leaned().lean_on(PackKind::kData, leaned).take());
  // While the list can't be read, any pack may be on it.
  overwrite(objects_, CollectionCatalog::key_of(1, state.list), as_byte_span("damaged"));
  EXPECT_TRUE(is(Session::begin(objects_, StoreId{}, {}), ErrorCode::kCorrupt));
}

// A record of the session that others wrote is not revived by a beat.
TEST_F(Sessions, ABeatReplacesItsOwnBytesOnly) {
  const auto session = begun();
  SessionRecord other = find_session(objects_, session->id()).take();
  other.nonce = random_id<Nonce>();
  overwrite(objects_, "sessions/" + session->id().hex(), encode(other));
  EXPECT_TRUE(is(session->beat(), ErrorCode::kBusy));
  EXPECT_EQ(find_session(objects_, session->id()).take(), other);
}

// The session is taken away before any operation of a commit: exactly one of the two wins.
TEST_F(Sessions, ACommitAndARevocationMeet) {
  bool committed = false;
  bool refused = false;
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    SessionId id;
    Status taken;
    InterruptedObjects between(objects_, at, [&] {
      const auto record = find_session(objects_, id);
      if (record.ok()) taken = revoke(objects_, record.value());
    });
    auto session = Session::begin(between, StoreId{}, {{sample_record(1).id}, {}});
    if (!session.ok()) continue;
    id = session.value()->id();
    const bool is_done = session.value()->commit({sample_record(1)}).ok();
    EXPECT_EQ(snapshots_in(objects_).size(), is_done ? 1U : 0U);
    (is_done ? committed : refused) = true;
    session.value().reset();
    if (is_done) {
      ASSERT_TRUE(remove_snapshot(objects_, sample_record(1).id).ok());
    }
    EXPECT_TRUE(snapshots_.list_ids().take().empty());
    if (!between.acted()) break;
  }
  EXPECT_TRUE(committed && refused);
}

// A commit comes before any operation of a revocation: what it published stays.
TEST_F(Sessions, ARevocationAndACommitMeet) {
  for (int at = 0;; ++at) {
    SCOPED_TRACE(at);
    const auto session = begun({{sample_record(1).id}, {}});
    bool is_done = false;
    InterruptedObjects between(objects_, at, [&] { is_done = session->commit({sample_record(1)}).ok(); });
    const SessionRecord record = find_session(objects_, session->id()).take();
    const Status taken = revoke(between, record);
    EXPECT_EQ(snapshots_in(objects_).size(), is_done ? 1U : 0U);
    EXPECT_TRUE(taken.ok() || is_done);
    if (is_done) {
      ASSERT_TRUE(remove_snapshot(objects_, sample_record(1).id).ok());
    }
    if (!between.acted()) break;
  }
}

// An object store whose replacements are done but answered with an error: a sync that failed, a lost answer.
class LostAnswers : public ForwardingObjects {
 public:
  using ForwardingObjects::ForwardingObjects;
  using ForwardingObjects::replace;
  Status replace(std::string_view key, ByteSpan expected, ByteSpan bytes, Lasts lasts) override {
    Status done = ForwardingObjects::replace(key, expected, bytes, lasts);
    if (done.ok() && key.starts_with(folder_) && left_-- > 0) return Error(ErrorCode::kIo, "no answer");
    return done;
  }
  void lose(std::string folder, int answers) {
    folder_ = std::move(folder);
    left_ = answers;
  }

 private:
  std::string folder_ = "none/";
  int left_ = 0;
};

TEST_F(Sessions, ABeatWhoseAnswerIsLostHasBeaten) {
  LostAnswers objects(objects_);
  const auto session = Session::begin(objects, StoreId{}, {{sample_record(1).id}, {}}).take();
  objects.lose("sessions/", 1);
  EXPECT_TRUE(session->beat().ok());
  EXPECT_TRUE(session->commit({sample_record(1)}).ok());
}

TEST_F(Sessions, ACommitWhoseOutcomeIsUnknownIsUndone) {
  LostAnswers objects(objects_);
  const auto session = Session::begin(objects, StoreId{}, {{sample_record(1).id}, {}}).take();
  objects.lose("snapshots/", 1);
  EXPECT_TRUE(is(session->commit({sample_record(1)}), ErrorCode::kIo));
  EXPECT_TRUE(snapshots_.list_ids().take().empty());
}

TEST_F(Sessions, ABaseHasToBeThere) {
  ASSERT_TRUE(publish_snapshot(objects_, sample_record(1)).ok());
  EXPECT_TRUE(Session::begin(objects_, StoreId{}, {{SnapshotId{9}}, {sample_record(1).id}}).ok());
  ASSERT_TRUE(snapshots_.move_to_bin(sample_record(1).id, UtcTime{1}).ok());
  EXPECT_TRUE(Session::begin(objects_, StoreId{}, {{SnapshotId{9}}, {sample_record(1).id}}).ok())
      << "one in the bin still has its data";
  ASSERT_TRUE(snapshots_.purge(snapshots_.find_in_bin(sample_record(1).id).take()).ok());
  EXPECT_TRUE(is(Session::begin(objects_, StoreId{}, {{SnapshotId{9}}, {sample_record(1).id}}),
                 ErrorCode::kNotFound));
  EXPECT_FALSE(has_object(SnapshotId{9}));
}

// A machine and its clone have the same names, and other boots: only a process of this boot is known to be
// gone.
TEST_F(Sessions, OnlyTheCertainlyDeadAreEnded) {
  const SessionId alive = plant([](SessionRecord&) {});
  const SessionId elsewhere = plant([](SessionRecord& r) { r.host = "another host"; });
  const SessionId clone = plant([](SessionRecord& r) { r.boot.fill(std::byte{1}); });
  const SessionId no_such_pid = plant([](SessionRecord& r) {
    r.pid = 0x7ffffff0;
    r.open_snapshots = {SnapshotId{5}};
  });
  const SessionId pid_reused = plant([](SessionRecord& r) { --r.pid_started; });
  ASSERT_TRUE(snapshots_.open({SnapshotId{5}, StoreId{}, no_such_pid, {}}).ok());
  overwrite(objects_, "sessions/00000000000000000000000000000000", as_byte_span("damaged"));
  overwrite(objects_, "sessions/condemned-1", as_byte_span("not a session"));

  EXPECT_EQ(end_dead_sessions(objects_).take(), 2U);
  EXPECT_TRUE(objects_.stat("sessions/00000000000000000000000000000000").ok())
      << "left for a person to look at";
  EXPECT_TRUE(objects_.stat("sessions/condemned-1").ok());
  for (const SessionId& left : {alive, elsewhere, clone}) EXPECT_TRUE(is_living(left));
  for (const SessionId& dead : {no_such_pid, pid_reused}) EXPECT_FALSE(is_living(dead));
  EXPECT_FALSE(has_object(SnapshotId{5})) << "what it announced is swept";
  EXPECT_EQ(end_dead_sessions(objects_).take(), 0U);
}

TEST_F(Sessions, OnANetworkFileSystemOneHostWritesAtATime) {
  const SessionId other = plant([](SessionRecord& r) { r.boot.fill(std::byte{1}); });
  const auto local = begun();
  files_.set_shared();
  const auto refused = Session::begin(objects_, StoreId{}, {});
  ASSERT_TRUE(is(refused, ErrorCode::kBusy));
  EXPECT_NE(refused.error().text().find(other.hex()), std::string::npos);
  ASSERT_TRUE(revoke(objects_, find_session(objects_, other).take()).ok());
  EXPECT_TRUE(Session::begin(objects_, StoreId{}, {}).ok());
}

TEST_F(Sessions, ADamagedRecordIsNamed) {
  overwrite(objects_, "sessions/00000000000000000000000000000000", as_byte_span("damaged"));
  std::vector<Error> unread;
  EXPECT_TRUE(list_sessions(objects_, unread).take().empty());
  ASSERT_EQ(unread.size(), 1U);
  EXPECT_NE(unread[0].text().find("sessions/0000"), std::string::npos);
  EXPECT_EQ(unread[0].kind(), ErrorKind::kRecordDamaged);
  ASSERT_TRUE(discard_session(objects_, SessionId{}).ok());
  EXPECT_TRUE(list_session_ids(objects_).take().empty());
}

// The record of a living writer is damaged and given up: its commit is refused.
TEST_F(Sessions, OneWhoseDamagedRecordIsGivenUpPublishesNothing) {
  const auto session = begun({{sample_record(1).id}, {}});
  overwrite(objects_, "sessions/" + session->id().hex(), as_byte_span("damaged"));
  EXPECT_TRUE(is(session->commit({sample_record(1)}), ErrorCode::kBusy));
  ASSERT_TRUE(discard_session(objects_, session->id()).ok());
  EXPECT_TRUE(is(session->commit({sample_record(1)}), ErrorCode::kBusy));
  EXPECT_TRUE(snapshots_in(objects_).empty());
}

TEST_F(Sessions, OneOfAKilledProcessIsFoundDead) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::close(ready[1]);
    char byte = 0;
    static_cast<void>(::read(ready[0], &byte, 1));  // waits until it is killed
    ::_exit(0);
  }
  const auto start = process_start(static_cast<std::uint32_t>(child)).take();
  ASSERT_TRUE(start.has_value());
  const SessionId session = plant([&](SessionRecord& r) {
    r.pid = static_cast<std::uint32_t>(child);
    r.pid_started = *start;
  });
  EXPECT_EQ(end_dead_sessions(objects_).take(), 0U);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(end_dead_sessions(objects_).take(), 1U);
  EXPECT_FALSE(is_living(session));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(ProcessIdentity, TheStartTimeIsFoundBehindAnyCommandName) {
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 7777 20 21";
  EXPECT_EQ(parse_stat_start("42 (ashlar)" + rest), 7777U);
  EXPECT_EQ(parse_stat_start("42 (a) b (c 9 9 9)" + rest), 7777U);
  for (const char* bad : {"", "42", "42 (ashlar", "42 (ashlar) S 1 2", ")))",
                          "42 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 -7 20"}) {
    EXPECT_FALSE(parse_stat_start(bad).has_value()) << bad;
  }
}

TEST(ProcessIdentity, IsTheSameWheneverAsked) {
  const ProcessIdentity a = this_process().take();
  const ProcessIdentity b = this_process().take();
  EXPECT_EQ(a.pid_started, b.pid_started);
  EXPECT_EQ(a.boot, b.boot);
  EXPECT_EQ(a, b);
  EXPECT_FALSE(process_start(0x7ffffff0).take().has_value());
}

}  // namespace
}  // namespace ashlar
