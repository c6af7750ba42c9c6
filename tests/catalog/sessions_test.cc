#include "catalog/sessions.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "catalog/records.h"
#include "process/process_identity.h"

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
  bool is_listed(const SessionId& id) {
    for (const SessionRecord& record : list_sessions(objects_).take()) {
      if (record.id == id) return true;
    }
    return false;
  }

  SimulatedFileSystem files_;
  LocalObjectStore objects_{files_, kRoot};
};

TEST_F(Sessions, AreVisibleFromBeginningToEnd) {
  StoreId store;
  store.bytes[3] = std::byte{9};
  EXPECT_TRUE(list_sessions(objects_).take().empty());
  {
    const auto session = Session::begin(objects_, store).take();
    const auto listed = list_sessions(objects_).take();
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(listed[0].id, session->id());
    EXPECT_EQ(listed[0].store, store);
    EXPECT_EQ(listed[0].pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_EQ(remove_dead_sessions(objects_).take(), 0U) << "it lives";
    EXPECT_TRUE(session->check().ok());
  }
  EXPECT_TRUE(list_sessions(objects_).take().empty());
}

TEST_F(Sessions, OneWhoseRecordWasTakenMayPublishNothing) {
  const auto session = Session::begin(objects_, {}).take();
  const std::string key = "sessions/" + session->id().hex();
  ASSERT_TRUE(objects_.remove(key).ok());
  EXPECT_EQ(session->check().error().code(), ErrorCode::kBusy);

  SessionRecord other;
  other.id = session->id();
  ASSERT_TRUE(objects_.put_if_absent(key, encode(other)).ok());
  EXPECT_EQ(session->check().error().code(), ErrorCode::kBusy);

  overwrite(objects_, key, as_byte_span("garbage"));
  EXPECT_FALSE(session->check().ok());
}

TEST_F(Sessions, OnlyTheCertainlyDeadAreRemoved) {
  const SessionId alive = plant([](SessionRecord&) {});
  const SessionId elsewhere = plant([](SessionRecord& r) {
    r.host = "another host";
    r.boot.fill(std::byte{1});
  });
  const SessionId rebooted = plant([](SessionRecord& r) { r.boot.fill(std::byte{1}); });
  const SessionId no_such_pid = plant([](SessionRecord& r) { r.pid = 0x7ffffff0; });
  const SessionId pid_reused = plant([](SessionRecord& r) { --r.pid_started; });
  overwrite(objects_, "sessions/00000000000000000000000000000000", as_byte_span("damaged"));
  overwrite(objects_, "sessions/condemned-1", as_byte_span("not a session"));

  EXPECT_EQ(remove_dead_sessions(objects_).take(), 3U);
  ASSERT_TRUE(objects_.remove("sessions/00000000000000000000000000000000").ok())
      << "left for a person to look at";
  EXPECT_TRUE(objects_.stat("sessions/condemned-1").ok());
  EXPECT_TRUE(is_listed(alive));
  EXPECT_TRUE(is_listed(elsewhere));
  for (const SessionId& dead : {rebooted, no_such_pid, pid_reused}) EXPECT_FALSE(is_listed(dead));
  EXPECT_EQ(remove_dead_sessions(objects_).take(), 0U);
}

TEST_F(Sessions, ADamagedRecordIsNamed) {
  overwrite(objects_, "sessions/00000000000000000000000000000000", as_byte_span("damaged"));
  const auto listed = list_sessions(objects_);
  ASSERT_FALSE(listed.ok());
  EXPECT_EQ(listed.error().code(), ErrorCode::kCorrupt);
  EXPECT_NE(listed.error().text().find("sessions/0000"), std::string::npos);
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
  EXPECT_EQ(remove_dead_sessions(objects_).take(), 0U);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(remove_dead_sessions(objects_).take(), 1U);
  EXPECT_FALSE(is_listed(session));
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
