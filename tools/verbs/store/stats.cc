// ashlar stats: what the store holds and what that takes.
#include <fmt/format.h>

#include "base/units.h"
#include "catalog/sessions.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/snapshot_list.h"

namespace ashlar {
namespace {

struct Stats {
  std::uint64_t snapshots = 0;  // that can be read
  std::uint64_t sessions = 0;
  std::uint64_t logical_bytes = 0;  // sizes of the volumes
  std::uint64_t data_bytes = 0;     // of their blocks that hold data
  IndexStats index;
  SnapshotList list;

  std::uint64_t unique_bytes() const { return index.blocks * kBlockBytes; }
  std::uint64_t stored_bytes() const { return index.data_bytes + index.node_bytes; }
};

Result<Stats> collect(Repo& repo) {
  Stats stats;
  stats.list = TRY(list_snapshots(repo.snapshots()));
  for (const SnapshotRecord& record : stats.list.records) {
    ++stats.snapshots;
    stats.logical_bytes += record.size.value;
    stats.data_bytes += byte_count(record.data_blocks).value;
  }
  stats.sessions = TRY(list_sessions(repo.objects())).size();
  stats.index = TRY(TRY(repo.index())->stats());
  return stats;
}

Json stats_json(const Stats& stats) {
  return {{"snapshots", stats.snapshots},
          {"sessions", stats.sessions},
          {"logical_bytes", stats.logical_bytes},
          {"data_bytes", stats.data_bytes},
          {"unique_bytes", stats.unique_bytes()},
          {"stored_bytes", stats.stored_bytes()},
          {"manifest_bytes", stats.index.node_bytes},
          {"dedup_ratio", ratio_json(stats.data_bytes, stats.unique_bytes())},
          {"compression_ratio", ratio_json(stats.unique_bytes(), stats.index.data_bytes)},
          {"index_bytes", stats.index.disk_bytes},
          {"index_hooks", stats.index.hooks},
          {"data_packs", stats.index.data_packs},
          {"meta_packs", stats.index.meta_packs},
          {"segments", stats.index.segments},
          {"nodes", stats.index.nodes},
          {"damaged", damaged_json(stats.list)}};
}

std::string stats_text(const Stats& stats) {
  return aligned(
      {{"snapshots", std::to_string(stats.snapshots)},
       {"logical", format_size(stats.logical_bytes) + " (sizes of the volumes)"},
       {"data", format_size(stats.data_bytes) + " (their blocks that hold data)"},
       {"unique", format_size(stats.unique_bytes())},
       {"stored", fmt::format("{} ({} of it manifests)", format_size(stats.stored_bytes()),
                              format_size(stats.index.node_bytes))},
       {"dedup ratio", ratio_text(stats.data_bytes, stats.unique_bytes())},
       {"compression ratio", ratio_text(stats.unique_bytes(), stats.index.data_bytes)},
       {"index", fmt::format("{} (about {} hooks)", format_size(stats.index.disk_bytes), stats.index.hooks)},
       {"packs", fmt::format("{} data, {} meta", stats.index.data_packs, stats.index.meta_packs)},
       {"segments", std::to_string(stats.index.segments)},
       {"nodes", std::to_string(stats.index.nodes)},
       {"open sessions", std::to_string(stats.sessions)}});
}

Result<ExitCode> run(const Globals& globals) {
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const Stats stats = TRY(collect(*repo));
  globals.json ? print_json(stats_json(stats)) : print(stats_text(stats));
  for (const auto& [id, what] : stats.list.damaged) print_warning("not counted: " + what);
  return stats.list.damaged.empty() ? ExitCode::kDone : ExitCode::kDamaged;
}

}  // namespace

void add_stats(Cli& cli) {
  cli.add_verb("stats", "Show how much the store holds, and the space that takes", "  ashlar stats");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
