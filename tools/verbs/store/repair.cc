// ashlar repair: heals what is damaged from wherever it still is.
#include "action/repair.h"

#include <fmt/format.h>

#include <algorithm>

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

// Returns whether nothing is lost with a damage: it is in a pack, and sound elsewhere or not needed.
bool is_harmless(const Damage& damage) { return is_of_pack(damage) && damage.losses.empty(); }

Result<ExitCode> only_say(const Globals& globals, Stop& stop) {
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  const VerifyReport left = TRY(describe_damage(*store.repo, store.caller));
  if (globals.json) {
    print_json({{"dry_run", true}, {"damages", damages_json(left)}});
  } else {
    for (const Damage& damage : left.damages) print(damage_text(damage));
    print(left.damages.empty() ? "no damage is recorded: 'ashlar verify --all' looks for it\n"
                               : damage_summary(left) + "\n");
  }
  return end_of_check(left);
}

Result<Repaired> repair_it(const Globals& globals, const Options& options, Repo& repo, const Caller& caller,
                           Host* host) {
  RepairRequest request;
  request.source = options.source;
  request.host = host;
  if (!options.volume.empty()) request.volume = TRY(VolumeId::parse(options.volume));
  std::unique_ptr<Repo> from;
  if (!options.from.empty()) {
    Globals elsewhere = globals;
    elsewhere.store = options.from;
    from = TRY(open_copied_store(elsewhere));
    request.from = from.get();
  }
  return repair_store(repo, caller, request);
}

// Only the blocks of a volume need the host: a copy of a store that was not adopted can be repaired, too.
Result<Repaired> repair_it(const Globals& globals, const Options& options, Stop& stop) {
  if (options.volume.empty()) {
    const OpenStore store = TRY(open_for_actions(globals, stop.token()));
    return repair_it(globals, options, *store.repo, store.caller, nullptr);
  }
  const OpenHost open = TRY(open_host(globals, stop.token()));
  return repair_it(globals, options, open.host->repo(), open.caller, open.host.get());
}

Json repaired_json(const Repaired& done, double seconds) {
  const RepairReport& report = done.report;
  return {{"dry_run", false},
          {"needed_blocks", report.needed_blocks},
          {"needed_nodes", report.needed_nodes},
          {"healed_blocks", report.healed_blocks},
          {"healed_nodes", report.healed_nodes},
          {"lost_blocks", report.lost_blocks},
          {"lost_nodes", report.lost_nodes},
          {"records", report.records},
          {"damages", damages_json(done.left)},
          {"seconds", seconds}};
}

bool is_healed(const Damage& damage) { return damage.losses.empty() && !damage.sound_in.empty(); }

void print_repaired(const Repaired& done, double seconds) {
  const RepairReport& report = done.report;
  for (const Damage& damage : done.left.damages) {
    if (!is_healed(damage)) print(damage_text(damage));
  }
  for (const std::string& key : report.records) print("put back: " + key + "\n");
  print(fmt::format("healed {} and {} in {}; lost: {} and {}\n", count_text(report.healed_blocks, "block"),
                    count_text(report.healed_nodes, "node"), duration_text(seconds),
                    count_text(report.lost_blocks, "block"), count_text(report.lost_nodes, "node")));
  const auto healed = static_cast<std::uint64_t>(std::ranges::count_if(done.left.damages, is_healed));
  if (healed > 0)
    print(fmt::format("{} are sound elsewhere: 'ashlar collect' drops them\n",
                      count_text(healed, "damaged place")));
  if (report.needed_blocks + report.needed_nodes == 0)
    print("everything needed is sound as far as is recorded: 'ashlar verify --all' looks for more\n");
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  if (options.dry_run) return only_say(globals, stop);
  const double started = monotonic_seconds();
  const Repaired done = TRY(repair_it(globals, options, stop));
  const double seconds = monotonic_seconds() - started;
  globals.json ? print_json(repaired_json(done, seconds)) : print_repaired(done, seconds);
  if (done.report.lost_blocks + done.report.lost_nodes > 0) {
    print_note(
        "ashlar: reading what is lost is an error: another store, a disk or a volume may have the blocks; "
        "nodes, and segments whose directories are damaged, come back from a copy of this store");
    return ExitCode::kDamaged;
  }
  return std::ranges::all_of(done.left.damages, is_harmless) ? ExitCode::kDone : end_of_check(done.left);
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
  verb.check([options]() -> Status {
    const bool has_source = !options->from.empty() || !options->source.empty() || !options->volume.empty();
    return options->dry_run && has_source ? Status(invalid("--dry-run asks no source")) : Status();
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
