#include "action/collect.h"

#include <fmt/format.h>

#include "action/samples.h"
#include "action/sessions.h"

namespace ashlar {
namespace {

Result<CollectParts> parts_of(Repo& repo) {
  const VerifyParts parts = TRY(repo.verify_parts());
  return CollectParts{parts.config, parts.objects, parts.index, parts.damage};
}

// Takes a session away that this host has seen no beat of for kSilentAfter. Returns whether it did.
Result<bool> take_away_silent(Repo& repo, const Caller& caller, const std::string& id) {
  const SessionId session = TRY(SessionId::parse(id));
  const Status done = revoke_session(repo, caller, session, RevokeWhen::kSilent);
  if (done.ok()) return true;
  if (is(done, ErrorCode::kBusy) || is(done, ErrorCode::kNotFound)) return false;
  return done.error();
}

}  // namespace

Result<CollectReport> plan_collection_of(Repo& repo, const Caller& caller, const CollectOptions& options) {
  const CollectParts parts = TRY(parts_of(repo));
  CollectProgress progress;
  const auto watch = caller.notices.watch("collect", [&progress] { return sample_of(progress); });
  return plan_collection_of(parts, options, progress, caller.stop);
}

// A disk that is too full to rewrite packs may have room once the packs are gone that nothing needs.
Result<CollectReport> collect_store(Repo& repo, const Caller& caller, const CollectOptions& options) {
  const CollectParts parts = TRY(parts_of(repo));
  CollectProgress progress;
  const auto watch = caller.notices.watch("collect", [&progress] { return sample_of(progress); });
  CollectOptions telling = options;
  telling.on_wait = [&caller](const SessionRecord& session) {
    caller.notices.warn(
        fmt::format("waits for session {} (process {} of {}) to see what is collected: up to 30 s, "
                    "or 10 minutes when it gives no sign",
                    session.id.hex(), session.pid, session.host.substr(0, session.host.find(' '))));
  };
  const auto once = [&]() -> Result<CollectReport> {
    CollectReport report = TRY(collect(parts, telling, progress, caller.stop));
    if (report.was_full && report.freed_packs == 0)
      return Error(ErrorCode::kExhausted, "the disk is too full to move what is needed to new packs");
    return report;
  };
  auto first = repo.reserve().run(once);
  if (!first.ok() && first.error().kind() == ErrorKind::kSessionBeats &&
      TRY(take_away_silent(repo, caller, first.error().id())))
    first = repo.reserve().run(once);
  CollectReport all = TRY(std::move(first));
  while (all.was_full) {
    CollectReport next = TRY(repo.reserve().run(once));
    next.freed_packs += all.freed_packs;
    next.freed_bytes += all.freed_bytes;
    next.written_bytes += all.written_bytes;
    all = std::move(next);
  }
  for (const std::string& warning : all.warnings) caller.notices.warn(warning);
  return all;
}

}  // namespace ashlar
