// ashlar reindex: makes the index anew from the packs.
#include <fmt/format.h>

#include "action/stores.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

Result<ExitCode> run(const Globals& globals) {
  const double started = monotonic_seconds();
  const OpenStore store = TRY(open_for_actions(globals));
  const auto [report, stats] = TRY(reindex_store(*store.repo, store.caller));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json({{"packs", report.packs_added},
                {"segments", stats.segments},
                {"nodes", stats.nodes},
                {"index_bytes", stats.disk_bytes},
                {"seconds", seconds}});
  } else {
    print(fmt::format("indexed {} with {} and {} in {}\n", count_text(report.packs_added, "pack"),
                      count_text(stats.segments, "segment"), count_text(stats.nodes, "node"),
                      duration_text(seconds)));
  }
  if (stats.damaged_packs + stats.unread_packs == 0) return ExitCode::kDone;
  print_note(
      fmt::format("ashlar: {} could not be read and are not in the index: 'ashlar verify --all' names them",
                  count_text(stats.damaged_packs + stats.unread_packs, "pack")));
  return stats.damaged_packs > 0 ? ExitCode::kDamaged : ExitCode::kFailed;
}

}  // namespace

void add_reindex(Cli& cli) {
  cli.add_verb("reindex",
               "Rebuild the index from the packs; the index is a cache, so nothing is lost with it",
               "  ashlar reindex");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
