// ashlar sessions …: the programs that write to the store, and taking their work away from them.
#include "action/sessions.h"

#include <fmt/format.h>

#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/unread.h"

namespace ashlar {
namespace {

struct Options {
  std::string id;
  bool now = false;
};

std::string_view writer_text(DescribedSession::Writer writer) {
  switch (writer) {
    case DescribedSession::Writer::kRuns:
      return "runs";
    case DescribedSession::Writer::kGone:
      return "gone";
    case DescribedSession::Writer::kEnded:
      return "ended";
    case DescribedSession::Writer::kUnknown:
      break;
  }
  return "unknown";
}

template <class Id>
Json texts(const std::vector<Id>& ids) {
  Json all = Json::array();
  for (const Id& id : ids) all.push_back(id.text());
  return all;
}

Json session_json(const DescribedSession& session) {
  const SessionRecord& record = session.record;
  return {{"id", record.id.hex()},
          {"started", record.started.iso8601()},
          {"host", record.host},
          {"pid", record.pid},
          {"writer", writer_text(session.writer)},
          {"silent_seconds", session.silent.count()},
          {"beats", record.beat},
          {"revoked", record.state != SessionState::kOpen},
          {"snapshots", texts(record.open_snapshots)},
          {"bases", texts(record.bases)}};
}

Result<ExitCode> list(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  Json all = Json::array();
  Table table({"ID", "STARTED", "HOST", ">PID", "WRITER", ">SILENT"});
  const SessionList listing = TRY(describe_sessions(*store.repo, store.caller));
  for (const DescribedSession& session : listing.sessions) {
    const SessionRecord& record = session.record;
    all.push_back(session_json(session));
    table.add({record.id.hex(), record.started.iso8601(), record.host.substr(0, record.host.find(' ')),
               std::to_string(record.pid), std::string(writer_text(session.writer)),
               fmt::format("{} s", session.silent.count())});
  }
  globals.json ? print_json({{"sessions", all}}) : print(table.text());
  return name_unread(listing.unread);
}

Result<ExitCode> revoke(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const RevokeWhen when = options.now ? RevokeWhen::kNow : RevokeWhen::kSilent;
  TRY(revoke_session(*store.repo, store.caller, TRY(SessionId::parse(options.id)), when));
  if (globals.json) print_json({{"revoked", options.id}});
  return ExitCode::kDone;
}

}  // namespace

void add_sessions(Cli& cli) {
  cli.add_group("sessions", "List the programs that write to the store, and take their work away from them");
  cli.add_verb("sessions list", "List the sessions, and for how long this host has seen no sign of each",
               "  ashlar sessions list");
  cli.on_run(Needs::kStore, list);
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("sessions revoke",
                           "Take a session away from a program that is gone: it can publish nothing any more",
                           "  ashlar sessions revoke 3f0c1e2d4b5a69788796a5b4c3d2e1f0\n"
                           "  ashlar sessions revoke 3f0c1e2d4b5a69788796a5b4c3d2e1f0 --now");
  verb.positional("ID", "ID", options->id, "The session", Presence::kRequired);
  verb.flag("--now", options->now,
            "Even if the program may be at work: what it does is lost, and it says so");
  verb.check([options]() -> Status {
    if (SessionId::parse(options->id).ok()) return {};
    return invalid(fmt::format("'{}' is not the id of a session: 32 hexadecimal digits", options->id));
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return revoke(globals, *options); });
}

}  // namespace ashlar
