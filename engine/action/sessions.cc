#include "action/sessions.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "catalog/session_watch.h"
#include "io/replace_file.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kMaxWatchBytes = std::uint64_t{16} << 20U;

std::chrono::nanoseconds since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);  // stands still with the writers while the host is suspended
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// Lists the sessions, and notes their beats in this host's file. Where that can't be written, each run sees
// every session for the first time.
Result<std::vector<DescribedSession>> look(Repo& repo, std::vector<Error>& unread) {
  const ProcessIdentity self = TRY(this_process());
  const std::string path = repo.host().path() + "/sessions-seen";
  const auto text = read_file(repo.host().files(), path, kMaxWatchBytes);
  SessionWatch watch = SessionWatch::decode(text.ok() ? as_text(text.value()) : "", self.boot);
  const auto records = TRY(list_sessions(repo.objects(), unread));
  const std::chrono::nanoseconds now = since_boot();
  watch.look(records, now);
  if (repo.host().make().ok())
    best_effort(replace_file(repo.host().files(), path, as_byte_span(watch.encode())));
  std::vector<DescribedSession> sessions;
  for (const SessionRecord& record : records) {
    DescribedSession& one = sessions.emplace_back();
    one.record = record;
    one.silent = std::chrono::duration_cast<std::chrono::seconds>(watch.silent_for(record, now));
    const bool is_here = record.host == pid_namespace_name() && record.boot == self.boot;
    if (record.has_ended()) {
      one.writer = DescribedSession::Writer::kEnded;
    } else if (is_here) {
      one.writer =
          TRY(is_certainly_gone(record)) ? DescribedSession::Writer::kGone : DescribedSession::Writer::kRuns;
    }
  }
  return sessions;
}

}  // namespace

Result<SessionList> describe_sessions(Repo& repo, const Caller& /*caller*/) {
  SessionList list;
  list.sessions = TRY(look(repo, list.unread));
  return list;
}

Status revoke_session(Repo& repo, const Caller& /*caller*/, const SessionId& id, RevokeWhen when) {
  std::vector<Error> unread;
  const auto sessions = TRY(look(repo, unread));
  const auto found =
      std::ranges::find(sessions, id, [](const DescribedSession& one) { return one.record.id; });
  if (found == sessions.end()) {
    const auto record = find_session(repo.objects(), id);
    if (is(record, ErrorCode::kCorrupt) && when == RevokeWhen::kNow) {
      TRY(discard_session(repo.objects(), id));
      return {};
    }
    if (!record.ok()) return record.error();  // says why it is not in the list
    return busy(fmt::format("session {} began just now", id.hex()));
  }
  const bool may_be_taken = when == RevokeWhen::kNow || found->writer == DescribedSession::Writer::kGone ||
                            found->writer == DescribedSession::Writer::kEnded ||
                            found->silent >= kSilentAfter;
  if (may_be_taken) return revoke(repo.objects(), found->record);
  return busy(fmt::format("session {} may still be at work: this host has seen no beat of it for {} of {} s",
                          id.hex(), found->silent.count(), std::chrono::seconds(kSilentAfter).count()))
      .about(ErrorKind::kSessionBeats, id.hex());
}

}  // namespace ashlar
