// ashlar instances …: the machines of this host.
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "machine_host.h"
#include "program/cli.h"
#include "program/output.h"
#include "shapes/instance_output.h"

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

struct Shown {
  InstanceRecord record;
  InstanceState state;
};

// Oldest first. Damaged records, and directories of launches that were cut off, are named and don't hide the
// others.
struct Listing {
  std::vector<Shown> machines;
  std::vector<std::string> damaged;
};

Result<Listing> list_all(const Instances& instances) {
  Listing listing;
  for (const InstanceId id : TRY(instances.list())) {
    auto record = instances.load(id);
    if (record.ok()) {
      const InstanceState state = TRY(instances.state_of(record.value()));
      listing.machines.push_back({record.take(), state});
    } else if (record.error().code() == ErrorCode::kNotFound) {
      continue;  // being made, or a launch that was cut off
    } else {
      listing.damaged.push_back(record.error().text());
    }
  }
  std::ranges::sort(listing.machines, {},
                    [](const Shown& m) { return std::pair(m.record.created, m.record.id); });
  return listing;
}

Result<ExitCode> list(const Globals& globals) {
  const auto host = TRY(MachineHost::open(globals));
  const Listing listing = TRY(list_all(host->instances()));
  if (globals.json) {
    Json all = Json::array();
    for (const Shown& one : listing.machines)
      all.push_back(instance_json(host->instances(), one.record, one.state));
    print_json({{"instances", all}, {"damaged", listing.damaged}});
  } else {
    Table table({"ID", "STATE", "CREATED", "SNAPSHOT", "NAME"});
    for (const auto& [record, state] : listing.machines) {
      table.add({record.id.text(), std::string(instance_state_name(state)), record.created.iso8601(),
                 record.snapshot.text(), record.name});
    }
    print(table.text());
  }
  for (const std::string& what : listing.damaged) print_warning(what);
  return listing.damaged.empty() ? ExitCode::kDone : ExitCode::kDamaged;
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  const auto host = TRY(MachineHost::open(globals));
  Json all = Json::array();
  std::string text;
  for (const InstanceId id : ids_of(options)) {
    const InstanceRecord record = TRY(host->instances().load(id));
    const InstanceState state = TRY(host->instances().state_of(record));
    all.push_back(instance_json(host->instances(), record, state));
    text += (text.empty() ? "" : "\n") + instance_text(host->instances(), record, state);
  }
  globals.json ? print_json({{"instances", all}}) : print(text);
  return ExitCode::kDone;
}

// What became of each machine; one that fails does not keep the others from their change.
class Changes {
 public:
  void add(InstanceId id, InstanceState before, InstanceState now) {
    all_.push_back({{"id", id.text()},
                    {"previous_state", instance_state_name(before)},
                    {"state", instance_state_name(now)}});
  }
  void failed(InstanceId id, Error error) {
    const bool named = error.text().find(id.text()) != std::string::npos;
    Error whole = named ? std::move(error) : std::move(error).with_context(id.text());
    if (first_.ok()) {
      first_ = std::move(whole);
    } else {
      print_warning(whole.text());
    }
  }
  Result<ExitCode> finish(const Globals& globals) {
    TRY(std::move(first_));
    if (globals.json) print_json({{"instances", all_}});
    return ExitCode::kDone;
  }

 private:
  Json all_ = Json::array();
  Status first_;
};

Result<ExitCode> start(const Globals& globals, const Options& options) {
  const auto host = TRY(MachineHost::open(globals));
  Changes changes;
  for (const InstanceId id : ids_of(options)) {
    auto before = host->start(id);
    before.ok() ? changes.add(id, before.value(), InstanceState::kRunning)
                : changes.failed(id, before.take_error());
  }
  return changes.finish(globals);
}

// All power buttons first: the guests shut down at the same time.
Result<ExitCode> stop(const Globals& globals, const Options& options) {
  const auto host = TRY(MachineHost::open(globals));
  Changes changes;
  std::vector<std::pair<InstanceId, InstanceState>> stopping;
  for (const InstanceId id : ids_of(options)) {
    auto before = host->begin_stop(id, options.force);
    if (before.ok()) {
      stopping.emplace_back(id, before.value());
    } else {
      changes.failed(id, before.take_error());
    }
  }
  const double deadline = monotonic_seconds() + (options.force ? 0 : options.timeout);
  for (const auto& [id, before] : stopping) {
    Status stopped = host->finish_stop(id, std::max(0.0, deadline - monotonic_seconds()));
    stopped.ok() ? changes.add(id, before, InstanceState::kStopped)
                 : changes.failed(id, stopped.take_error());
  }
  return changes.finish(globals);
}

Result<ExitCode> terminate(const Globals& globals, const Options& options) {
  const auto host = TRY(MachineHost::open(globals));
  Changes changes;
  for (const InstanceId id : ids_of(options)) {
    auto ended = host->terminate(id);
    if (!ended.ok()) {
      changes.failed(id, ended.take_error());
      continue;
    }
    changes.add(id, ended.value().before, InstanceState::kTerminated);
    for (const VolumeId kept : ended.value().kept)
      print_note(fmt::format("{}: its volume {} stays", id.text(), kept.text()));
  }
  return changes.finish(globals);
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
