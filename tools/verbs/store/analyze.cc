// ashlar analyze: what dedup and compression would make of some images, before there is a store.
#include "analyze/analyze.h"

#include <fmt/format.h>

#include "action/samples.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/progress.h"
#include "program/stop.h"

namespace ashlar {
namespace {

struct Options {
  std::vector<std::string> files;
  unsigned threads = 0;
};

Json report_json(const AnalyzeReport& report, double seconds) {
  Json files = Json::array();
  for (const AnalyzedSource& source : report.sources) {
    files.push_back(
        {{"name", source.name}, {"size_bytes", source.size.value}, {"data_bytes", source.data_bytes.value}});
  }
  Json rows = Json::array();
  for (const GrainRow& row : report.rows) {
    Json added = Json::array();
    Json unique = Json::array();
    for (const ByteCount bytes : row.added) added.push_back(bytes.value);
    for (const ByteCount bytes : row.added_unique) unique.push_back(bytes.value);
    rows.push_back({{"grain", row.name},
                    {"grain_bytes", row.grain.value},
                    {"added_bytes", added},
                    {"added_unique_bytes", unique},
                    {"sum_bytes", row.sum().value},
                    {"sample", row.sample}});
  }
  return {{"files", files}, {"grains", rows}, {"seconds", seconds}};
}

// File names may be long: the columns are numbered, and the numbers listed above.
std::string report_text(const AnalyzeReport& report) {
  std::string text;
  std::vector<std::string> headings = {"grain"};
  for (std::size_t i = 0; i < report.sources.size(); ++i) {
    const AnalyzedSource& source = report.sources[i];
    text += fmt::format("file {}: {}: {}, {} of data\n", i + 1, source.name, format_size(source.size.value),
                        format_size(source.data_bytes.value));
    headings.push_back(fmt::format(">{}file {}", i == 0 ? "" : "+ ", i + 1));
  }
  headings.emplace_back(">sum");
  headings.emplace_back("");
  Table table(headings);
  for (const GrainRow& row : report.rows) {
    std::vector<std::string> cells = {row.name};
    for (const ByteCount bytes : row.added) cells.push_back(format_size(bytes.value));
    cells.push_back(format_size(row.sum().value));
    cells.push_back(row.sample == 1 ? "" : fmt::format("estimated from 1/{} of the blocks", row.sample));
    table.add(std::move(cells));
  }
  return text + "\nBytes stored, compressed:\n" + table.text();
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  const double started = monotonic_seconds();
  std::vector<std::unique_ptr<Source>> sources;
  for (const std::string& file : options.files) sources.push_back(TRY(open_source(file, {})));
  AnalyzeOptions how;
  how.threads = options.threads;
  AnalyzeProgress progress;
  const auto run_analysis = [&] {
    const ProgressDisplay display(globals, "analyze", [&progress] { return sample_of(progress); });
    return analyze(sources, how, progress, stop.token());
  };
  const AnalyzeReport report = TRY(run_analysis());
  const double seconds = monotonic_seconds() - started;
  globals.json ? print_json(report_json(report, seconds)) : print(report_text(report));
  if (!globals.json) print_note("took " + duration_text(seconds));
  return ExitCode::kDone;
}

}  // namespace

void add_analyze(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      "analyze",
      "Show what dedup at several grains and this engine would store for some images; needs no store",
      "  # what a second and a third image add to the first\n"
      "  ashlar analyze monday.raw tuesday.raw wednesday.raw");
  verb.positionals("FILE", "FILE", options->files,
                   "Disk images or block devices, in the order of their capture");
  verb.number("--threads", 1, 1024, options->threads,
              "Threads for hashing and compressing [one a processor]");
  cli.on_run(Needs::kNothing, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
