// ashlar reindex: makes the index anew from the packs.
#include <fmt/format.h>

#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

Result<ExitCode> run(const Globals& globals) {
  const double started = monotonic_seconds();
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const CatchUpReport report = TRY(repo->reindex());
  const IndexStats stats = TRY(TRY(repo->index())->stats());
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json({{"packs", report.packs_added},
                {"segments", stats.segments},
                {"nodes", stats.nodes},
                {"index_bytes", stats.disk_bytes},
                {"seconds", seconds}});
  } else {
    print(fmt::format("indexed {} packs with {} segments and {} nodes in {}\n", report.packs_added,
                      stats.segments, stats.nodes, duration_text(seconds)));
  }
  return ExitCode::kDone;
}

}  // namespace

void add_reindex(Cli& cli) {
  cli.add_verb("reindex", "Make the index anew from the packs; it is a cache, and nothing is lost with it",
               "  ashlar reindex");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
