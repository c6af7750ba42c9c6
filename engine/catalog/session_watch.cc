#include "catalog/session_watch.h"

#include <fmt/format.h>

#include <sstream>

namespace ashlar {

// The first line is the boot; each further line is a session, the nonce of its beat, and since when it is so.
SessionWatch SessionWatch::decode(std::string_view text, const Boot& boot) {
  SessionWatch watch;
  watch.boot_ = boot;
  std::istringstream lines{std::string(text)};
  std::string line;
  if (!std::getline(lines, line) || line != to_hex(boot)) return watch;
  std::string session;
  std::string nonce;
  std::int64_t since = 0;
  while (lines >> session >> nonce >> since) {
    const auto id = SessionId::parse(session);
    const auto beat = Nonce::parse(nonce);
    if (!id.ok() || !beat.ok()) break;
    watch.seen_[id.value()] = {beat.value(), since};
  }
  return watch;
}

std::string SessionWatch::encode() const {
  std::string text = to_hex(boot_) + "\n";
  for (const auto& [session, seen] : seen_)
    text += fmt::format("{} {} {}\n", session.hex(), seen.nonce.hex(), seen.since_ns);
  return text;
}

void SessionWatch::look(const std::vector<SessionRecord>& sessions, std::chrono::nanoseconds now) {
  std::map<SessionId, Seen> seen;
  for (const SessionRecord& session : sessions) {
    const auto before = seen_.find(session.id);
    const bool is_same = before != seen_.end() && before->second.nonce == session.nonce &&
                         before->second.since_ns <= now.count();
    seen[session.id] = is_same ? before->second : Seen{session.nonce, now.count()};
  }
  seen_ = std::move(seen);
}

std::chrono::nanoseconds SessionWatch::silent_for(const SessionRecord& session,
                                                  std::chrono::nanoseconds now) const {
  const auto found = seen_.find(session.id);
  if (found == seen_.end() || found->second.nonce != session.nonce) return std::chrono::nanoseconds(0);
  return now - std::chrono::nanoseconds(found->second.since_ns);
}

}  // namespace ashlar
