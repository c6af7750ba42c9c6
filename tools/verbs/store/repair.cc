// ashlar repair: heals what is damaged from wherever it still is.
#include "action/repair.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/damage_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string from;
  std::string source;
  std::string volume;
  bool dry_run = false;
};

Json damages_json(const VerifyReport& left) {
  Json damages = Json::array();
  for (const Damage& damage : left.damages) damages.push_back(damage_json(damage));
  return damages;
}

Result<ExitCode> only_say(const Globals& globals, Stop& stop) {
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  const VerifyReport left = TRY(describe_damage(*store.repo, store.caller));
  if (globals.json) {
    print_json({{"dry_run", true}, {"damages", damages_json(left)}});
  } else {
    for (const Damage& damage : left.damages) print(damage_text(damage));
    print(damage_summary(left) + "\n");
  }
  return end_of_check(left);
}

Result<Repaired> repair_it(const Globals& globals, const Options& options, const OpenHost& open) {
  RepairRequest request;
  request.source = options.source;
  if (!options.volume.empty()) request.volume = TRY(VolumeId::parse(options.volume));
  std::unique_ptr<Repo> from;
  if (!options.from.empty()) {
    Globals elsewhere = globals;
    elsewhere.store = options.from;
    from = TRY(open_copied_store(elsewhere));
    request.from = from.get();
  }
  return repair_store(*open.host, open.caller, request);
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  if (options.dry_run) return only_say(globals, stop);
  const double started = monotonic_seconds();
  const OpenHost open = TRY(open_host(globals, stop.token()));
  const Repaired done = TRY(repair_it(globals, options, open));
  const double seconds = monotonic_seconds() - started;
  const RepairReport& report = done.report;
  if (globals.json) {
    print_json({{"dry_run", false},
                {"needed_blocks", report.needed_blocks},
                {"needed_nodes", report.needed_nodes},
                {"healed_blocks", report.healed_blocks},
                {"healed_nodes", report.healed_nodes},
                {"lost_blocks", report.lost_blocks},
                {"lost_nodes", report.lost_nodes},
                {"records", report.records},
                {"damages", damages_json(done.left)},
                {"seconds", seconds}});
  } else {
    for (const Damage& damage : done.left.damages) print(damage_text(damage));
    for (const std::string& key : report.records) print("put back: " + key + "\n");
    print(fmt::format("healed {} and {} in {}; lost: {} and {}\n", count_text(report.healed_blocks, "block"),
                      count_text(report.healed_nodes, "node"), duration_text(seconds),
                      count_text(report.lost_blocks, "block"), count_text(report.lost_nodes, "node")));
  }
  if (report.lost_blocks + report.lost_nodes > 0) {
    print_note(
        "ashlar: what is lost reads as an error that says so: give another store, a disk or a volume that "
        "still holds it");
    return ExitCode::kDamaged;
  }
  const bool is_lost =
      std::ranges::any_of(done.left.damages, [](const Damage& d) { return !d.losses.empty(); });
  return is_lost ? end_of_check(done.left) : ExitCode::kDone;
}

}  // namespace

void add_repair(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("repair", "Store anew what is damaged or missing, from wherever it still is",
                           "  ashlar repair --dry-run\n"
                           "  ashlar repair --from /backup/elsewhere\n"
                           "  ashlar repair --source /dev/sdb --volume vol-01a2b3c4d5e6f7089");
  verb.text("--from", "STORE", options->from, "Take it from this store too");
  verb.text("--source", "DISK", options->source,
            "Take it from this file, block device or NBD URI too, wherever on it the blocks lie");
  verb.text("--volume", "VOL", options->volume, "Take it from what this volume holds too");
  verb.flag("--dry-run", options->dry_run, "Say what is recorded as damaged, and change nothing");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
