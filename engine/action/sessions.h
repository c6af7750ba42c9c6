// Sessions: the programs that write to a store. Any account may see them and take them away.
#pragma once

#include <chrono>
#include <vector>

#include "action/caller.h"
#include "catalog/sessions.h"
#include "repo/repo.h"

namespace ashlar {

struct DescribedSession {
  enum class Writer : unsigned char {
    kRuns,     // a process of this host
    kGone,     // it was a process of this host
    kEnded,    // it has ended without publishing everything; a later run can use what it stored
    kUnknown,  // of another host, boot or container: only its beat shows whether it lives
  };
  SessionRecord record;
  Writer writer = Writer::kUnknown;
  std::chrono::seconds silent{0};  // for how long this host has seen no beat of it
};
struct SessionList {
  std::vector<DescribedSession> sessions;
  std::vector<Error> unread;  // of records that can't be read
};
// Lists all sessions. Remembers their beats on this host.
Result<SessionList> describe_sessions(Repo& repo, const Caller& caller);

enum class RevokeWhen : unsigned char {
  kSilent,  // only when its writer is certainly gone, or it was silent for kSilentAfter
  kNow,
};
// Takes a session away from its writer: what it has not published by now, it can't publish any more. With
// kNow this goes for a session whose record is damaged, too. Fails with kNotFound when there is no such
// session, and with kBusy, kind kSessionBeats, when it may still be at work.
Status revoke_session(Repo& repo, const Caller& caller, const SessionId& id, RevokeWhen when);

}  // namespace ashlar
