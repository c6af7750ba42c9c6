// ashlar verify: reads what is stored and says what is damaged, or compares a target with a snapshot.
#include <fmt/format.h>

#include <algorithm>

#include "action/snapshots.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/damage_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string snapshot;
  bool all = false;
  std::string against;
};

Status check(const Options& options) {
  if (options.all == !options.snapshot.empty()) return invalid("give either a snapshot or --all");
  if (options.all && !options.against.empty()) return invalid("--against needs a snapshot to compare with");
  return {};
}

void print_verified(const Globals& globals, const VerifyReport& report, double seconds) {
  if (globals.json) {
    print_json({{"ok", report.damages.empty()},
                {"packs", report.packs},
                {"segments", report.segments},
                {"blocks", report.blocks},
                {"nodes", report.nodes},
                {"snapshots", report.snapshots},
                {"read_bytes", report.bytes_read.value},
                {"damages", damages_json(report)},
                {"sound_again", sound_again_json(report)},
                {"unrecorded", report.unrecorded},
                {"seconds", seconds}});
    return;
  }
  for (const Damage& damage : report.damages) print(damage_text(damage));
  for (const SoundAgain& sound : report.sound_again) print(sound_again_text(sound));
  print(fmt::format("{}: {}, {}, {}, {}, {}; {} read in {}\n", damage_summary(report),
                    count_text(report.snapshots, "snapshot"), count_text(report.packs, "pack"),
                    count_text(report.segments, "segment"), count_text(report.blocks, "block"),
                    count_text(report.nodes, "node"), format_size(report.bytes_read.value),
                    duration_text(seconds)));
}

Result<ExitCode> verify_stored(const Globals& globals, const OpenStore& store, const Options& options) {
  const double started = monotonic_seconds();
  std::optional<SnapshotId> snapshot;
  if (!options.all) snapshot = TRY(SnapshotId::parse(options.snapshot));
  const VerifyReport report = TRY(verify_stored(*store.repo, store.caller, snapshot));
  print_verified(globals, report, monotonic_seconds() - started);
  return end_of_check(report);
}

void print_compared(const Globals& globals, const Options& options, const std::vector<BlockRange>& different,
                    ByteCount size) {
  std::uint64_t bytes = 0;
  for (const BlockRange& range : different) bytes += byte_range(range, size).length;
  if (globals.json) {
    print_json({{"ok", different.empty()},
                {"snapshot", options.snapshot},
                {"target", options.against},
                {"size_bytes", size.value},
                {"different_bytes", bytes},
                {"different", ranges_json(different, size)}});
    return;
  }
  for (const BlockRange& range : different) {
    const ByteRange r = byte_range(range, size);
    print(fmt::format("{:<16} {:<12} {}\n", r.offset, r.length, format_size(r.length)));
  }
  if (different.empty()) print(fmt::format("{} holds what {} says\n", options.against, options.snapshot));
}

Result<ExitCode> verify_target(const Globals& globals, const OpenStore& store, const Options& options) {
  const SnapshotId id = TRY(SnapshotId::parse(options.snapshot));
  const auto [snapshot, different] = TRY(compare_with_target(*store.repo, store.caller, id, options.against));
  print_compared(globals, options, different, snapshot.size);
  if (different.empty()) return ExitCode::kDone;
  print_note(fmt::format("ashlar: {} differs from {}: {}", options.against, options.snapshot,
                         ranges_text(different, snapshot.size)));
  return ExitCode::kDamaged;
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  if (!options.against.empty()) return verify_target(globals, store, options);
  return verify_stored(globals, store, options);
}

}  // namespace

void add_verify(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("verify", "Read what is stored past the page cache and name what is damaged",
                           "  ashlar verify --all\n"
                           "  ashlar verify snap-01a2b3c4d5e6f7089\n"
                           "  ashlar verify snap-01a2b3c4d5e6f7089 --against /dev/sdb");
  verb.snapshot("SNAP", options->snapshot, "Verify what this snapshot needs", Presence::kOptional);
  verb.flag("--all", options->all, "Verify everything in the store");
  verb.text("--against", "TARGET", options->against, "Compare this file or device with the snapshot instead");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
