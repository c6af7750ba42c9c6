// ashlar collect: frees the space of what no snapshot needs.
#include "action/collect.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/units.h"
#include "pack/pack_store.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  bool dry_run = false;
  unsigned max_live = kMaxLivePercent;
  unsigned level = 0;
  std::uint64_t rate = 0;
};

std::string_view verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::kKeep:
      return "keep";
    case Verdict::kFree:
      return "free";
    case Verdict::kRewrite:
      return "rewrite";
    case Verdict::kPassOver:
      return "pass over";
    case Verdict::kOpen:
      return "open";
    case Verdict::kDamaged:
      break;
  }
  return "damaged";
}

// How much is needed of a pack that can't be read, or that is being written, is not known.
bool is_known(const PackUse& use) { return !use.is_unreadable && !use.is_open; }

Json sum_json(const CollectionPlan& plan, Verdict verdict) {
  const CollectionPlan::Sum sum = plan.sum(verdict);
  return {{"packs", sum.packs}, {"bytes", sum.bytes}, {"live_bytes", sum.live_bytes}};
}

Json report_json(const CollectReport& report, const Options& options, double seconds) {
  Json json = {{"dry_run", options.dry_run},
               {"nodes", report.nodes},
               {"free", sum_json(report.plan, Verdict::kFree)},
               {"rewrite", sum_json(report.plan, Verdict::kRewrite)},
               {"keep", sum_json(report.plan, Verdict::kKeep)},
               {"pass_over", sum_json(report.plan, Verdict::kPassOver)},
               {"damaged", sum_json(report.plan, Verdict::kDamaged)},
               {"open", sum_json(report.plan, Verdict::kOpen)},
               {"freed_packs", report.freed_packs},
               {"freed_bytes", report.freed_bytes},
               {"written_bytes", report.written_bytes},
               {"kept_packs", report.kept_packs},
               {"seconds", seconds}};
  if (!options.dry_run) return json;
  json["packs"] = Json::array();
  for (const PlannedPack& pack : report.plan.packs) {
    json["packs"].push_back({{"pack", pack_key(pack.use.pack.kind, pack.use.pack.id)},
                             {"bytes", pack.use.bytes},
                             {"live_bytes", is_known(pack.use) ? Json(pack.use.live_bytes) : Json(nullptr)},
                             {"verdict", verdict_text(pack.verdict)}});
  }
  return json;
}

void print_plan(const CollectReport& report) {
  Table table({"PACK", ">BYTES", ">NEEDED", "VERDICT"});
  for (const PlannedPack& pack : report.plan.packs) {
    if (pack.verdict == Verdict::kKeep) continue;
    table.add({pack_key(pack.use.pack.kind, pack.use.pack.id), std::to_string(pack.use.bytes),
               is_known(pack.use) ? std::to_string(pack.use.live_bytes) : "not known",
               std::string(verdict_text(pack.verdict))});
  }
  if (report.plan.sum(Verdict::kKeep).packs < report.plan.packs.size()) print(table.text());
  const CollectionPlan::Sum keep = report.plan.sum(Verdict::kKeep);
  print(fmt::format("{} would be freed; {} with {} would stay as they are\n",
                    format_size(report.plan.freed_bytes()), count_text(keep.packs, "pack"),
                    format_size(keep.bytes)));
}

void print_done(const CollectReport& report, double seconds) {
  print(fmt::format("removed {} with {}, and moved {} of that to new packs; read {} in {}\n",
                    count_text(report.freed_packs, "pack"), format_size(report.freed_bytes),
                    format_size(report.written_bytes), count_text(report.nodes, "node"),
                    duration_text(seconds)));
  const CollectionPlan::Sum passed = report.plan.sum(Verdict::kPassOver);
  if (passed.packs > 0)
    print_note(fmt::format(
        "{} ({}) are left for a run that was cut off: the next collection frees what it has not used",
        count_text(passed.packs, "pack"), format_size(passed.bytes)));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  CollectOptions wanted;
  wanted.max_live_percent = options.max_live;
  wanted.level = static_cast<int>(options.level);
  wanted.bytes_per_second = options.rate;
  const CollectReport report = TRY(options.dry_run ? plan_collection_of(*store.repo, store.caller, wanted)
                                                   : collect_store(*store.repo, store.caller, wanted));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json(report_json(report, options, seconds));
  } else {
    options.dry_run ? print_plan(report) : print_done(report, seconds);
  }
  return report.plan.sum(Verdict::kDamaged).packs == 0 ? ExitCode::kDone : ExitCode::kDamaged;
}

}  // namespace

void add_collect(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb =
      cli.add_verb("collect", "Free the space of what no snapshot needs any more, while all else runs on",
                   "  ashlar collect --dry-run\n"
                   "  ashlar collect\n"
                   "  ashlar collect --max-live 60 --level 9 --rate 50M");
  verb.flag("--dry-run", options->dry_run, "Say what would be done with each pack, and change nothing");
  verb.number("--max-live", 0, 100, options->max_live,
              "Rewrite packs of which less than this percentage is needed [80]");
  verb.number("--level", 1, 19, options->level, "The zstd level of what is rewritten [as it is stored]");
  verb.size("--rate", options->rate, "Bytes a second to read and write at most [no limit]");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
