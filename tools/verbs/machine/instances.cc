// ashlar instances …: the machines of this host.
#include "action/instances.h"

#include <algorithm>

#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "shapes/instance_output.h"
#include "shapes/unread.h"

namespace ashlar {
namespace {

constexpr unsigned kDefaultTimeout = 60;
constexpr unsigned kMaxTimeout = 24 * 3600;

struct Options {
  std::vector<std::string> ids;
  bool force = false;
  unsigned timeout = kDefaultTimeout;
};
using Shared = std::shared_ptr<Options>;

Status check_ids(const Options& options) {
  for (const std::string& text : options.ids) TRY(InstanceId::parse(text));
  return {};
}

std::vector<InstanceId> ids_of(const Options& options) {
  std::vector<InstanceId> ids;
  for (const std::string& text : options.ids) {
    const InstanceId id = InstanceId::parse(text).take();
    if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

Result<ExitCode> list(const Globals& globals) {
  const OpenHost open = TRY(open_host(globals));
  const InstanceList listing = TRY(describe_instances(*open.host, open.caller));
  if (globals.json) {
    Json all = Json::array();
    for (const InstanceDescription& one : listing.instances) all.push_back(instance_json(one));
    Json unread = Json::array();
    for (const Error& error : listing.unread) unread.push_back(error.text());
    print_json({{"instances", all}, {"damaged", unread}});
  } else {
    Table table({"ID", "STATE", "CREATED", "SNAPSHOT", "NAME"});
    for (const auto& [record, state, directory] : listing.instances) {
      table.add({record.id.text(), std::string(instance_state_name(state)), record.created.iso8601(),
                 record.snapshot.text(), record.name});
    }
    print(table.text());
  }
  return name_unread(listing.unread);
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  Json all = Json::array();
  std::string text;
  for (const InstanceDescription& one : TRY(describe_instances(*open.host, open.caller, ids_of(options)))) {
    all.push_back(instance_json(one));
    text += (text.empty() ? "" : "\n") + instance_text(one);
  }
  globals.json ? print_json({{"instances", all}}) : print(text);
  return ExitCode::kDone;
}

Result<ExitCode> finish(const Globals& globals, const InstanceChanges& changes) {
  if (!changes.failure.ok()) return changes.failure.error();
  if (globals.json) {
    print_json({{"instances", changes_json(changes)}});
    return ExitCode::kDone;
  }
  for (const InstanceChange& change : changes.changes) {
    if (change.before == change.now)
      print_note(change.id.text() + " is " + std::string(instance_state_name(change.now)) +
                 " already: nothing was changed");
  }
  return ExitCode::kDone;
}

Result<ExitCode> start(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  return finish(globals, start_instances(*open.host, open.caller, ids_of(options)));
}

Result<ExitCode> stop(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  const StopInstancesRequest request{ids_of(options), options.force, static_cast<double>(options.timeout)};
  return finish(globals, stop_instances(*open.host, open.caller, request));
}

Result<ExitCode> terminate(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  return finish(globals, terminate_instances(*open.host, open.caller, ids_of(options)));
}

Verb add_of_several(Cli& cli, const Shared& options, const char* name, const char* about, const char* example,
                    Result<ExitCode> (*run)(const Globals&, const Options&)) {
  Verb verb = cli.add_verb(std::string("instances ") + name, about, example);
  verb.positionals("INSTANCE", "INSTANCE", options->ids, "The machines");
  verb.check([options] { return check_ids(*options); });
  cli.on_run(Needs::kStore, [options, run](const Globals& globals) { return run(globals, *options); });
  return verb;
}

}  // namespace

void add_instances(Cli& cli) {
  cli.add_group("instances", "List, stop, start and terminate the machines that were launched on this host");
  const auto options = std::make_shared<Options>();
  cli.add_verb("instances list", "List the machines of this host, oldest first",
               "  ashlar instances list\n"
               "  ashlar instances list --json | jq -r '.instances[] | select(.state == \"running\").id'");
  cli.on_run(Needs::kStore, list);
  add_of_several(cli, options, "describe", "Show what machines are made of, and where their consoles are",
                 "  ashlar instances describe i-01a2b3c4d5e6f7089", describe);
  Verb stopping = add_of_several(cli, options, "stop",
                                 "Press the power button of machines, and end those that do not switch off",
                                 "  ashlar instances stop i-01a2b3c4d5e6f7089 --timeout 300", stop);
  stopping.number("--timeout", 0, kMaxTimeout, options->timeout, "Seconds that the guests have [60]");
  stopping.flag("--force", options->force, "End them at once, without asking the guests");
  add_of_several(cli, options, "start", "Start stopped machines again, on the same volumes",
                 "  ashlar instances start i-01a2b3c4d5e6f7089", start);
  add_of_several(cli, options, "terminate",
                 "End machines and remove them, with the volumes that are not to be kept",
                 "  ashlar instances terminate i-01a2b3c4d5e6f7089", terminate);
}

}  // namespace ashlar
