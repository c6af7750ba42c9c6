// ashlar stats: what the store holds and what that takes.
#include <fmt/format.h>

#include <algorithm>

#include "action/stores.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/snapshot_list.h"

namespace ashlar {
namespace {

Json unread_records(const StoreStats& stats) {
  Json unread = unread_json(stats.snapshots);
  for (const auto& [id, why] : stats.unread_sessions) unread.push_back(unread_json(id.hex(), why));
  return unread;
}

Json stats_json(const StoreStats& stats) {
  return {{"snapshots", stats.snapshots.records.size()},
          {"sessions", stats.sessions},
          {"logical_bytes", stats.logical.value},
          {"data_bytes", stats.data.value},
          {"unique_bytes", stats.unique().value},
          {"stored_bytes", stats.stored().value},
          {"manifest_bytes", stats.index.node_bytes},
          {"dedup_ratio", ratio_json(stats.data.value, stats.unique().value)},
          {"compression_ratio", ratio_json(stats.unique().value, stats.index.data_bytes)},
          {"index_bytes", stats.index.disk_bytes},
          {"index_hooks", stats.index.hooks},
          {"data_packs", stats.index.data_packs},
          {"meta_packs", stats.index.meta_packs},
          {"segments", stats.index.segments},
          {"nodes", stats.index.nodes},
          {"collectable_bytes", stats.plan ? Json(stats.plan->freed_bytes()) : Json(nullptr)},
          {"unread", unread_records(stats)}};
}

std::string stats_text(const StoreStats& stats) {
  return aligned(
      {{"snapshots", std::to_string(stats.snapshots.records.size())},
       {"logical", format_size(stats.logical.value) + " (sizes of the volumes)"},
       {"data", format_size(stats.data.value) + " (their blocks that hold data)"},
       {"unique", format_size(stats.unique().value)},
       {"stored", fmt::format("{} ({} of it manifests)", format_size(stats.stored().value),
                              format_size(stats.index.node_bytes))},
       {"dedup ratio", ratio_text(stats.data.value, stats.unique().value)},
       {"compression ratio", ratio_text(stats.unique().value, stats.index.data_bytes)},
       {"index", fmt::format("{} (about {} hooks)", format_size(stats.index.disk_bytes), stats.index.hooks)},
       {"packs", fmt::format("{} data, {} meta", stats.index.data_packs, stats.index.meta_packs)},
       {"segments", std::to_string(stats.index.segments)},
       {"nodes", std::to_string(stats.index.nodes)},
       {"collectable", stats.plan
                           ? format_size(stats.plan->freed_bytes()) + " (what `ashlar collect` would free)"
                           : "not known: nothing is freed while something can't be read"},
       {"open sessions", std::to_string(stats.sessions)}});
}

Result<ExitCode> run(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  const StoreStats stats = TRY(describe_store(*store.repo, store.caller));
  globals.json ? print_json(stats_json(stats)) : print(stats_text(stats));
  for (const UnreadSnapshot& one : stats.snapshots.unread) print_warning("not counted: " + one.why.text());
  ExitCode code = exit_code_of(stats.snapshots);
  for (const auto& [id, why] : stats.unread_sessions) {
    print_warning(why.text());
    code = std::max(code, exit_code_of(why));
  }
  return code;
}

}  // namespace

void add_stats(Cli& cli) {
  cli.add_verb("stats", "Show how much the store holds, and the space that it takes", "  ashlar stats");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
