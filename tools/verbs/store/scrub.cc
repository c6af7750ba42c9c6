// ashlar scrub: reads what is stored a part at a time, and says what is damaged and how old that knowledge
// is.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "action/repair.h"
#include "base/clock.h"
#include "base/units.h"
#include "io/replace_file.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "serve/metrics_text.h"
#include "shapes/damage_output.h"

namespace ashlar {
namespace {

struct Options {
  std::uint64_t rate = 0;
  unsigned since_days = 0;
  std::string cursor;
  std::string metrics;
};

constexpr std::uint64_t kDayNs = 86'400ULL * 1'000'000'000;

Result<std::size_t> parse_cursor(const std::string& text) {
  const bool is_hex = text.size() == 3 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hex) return invalid("--cursor takes three hexadecimal digits, as the JSON of a scrub prints them");
  return static_cast<std::size_t>(std::stoul(text, nullptr, 16));
}

std::uint64_t age_seconds(const ScrubAge& age) {
  return (UtcTime::now().unix_ns - std::min(age.oldest, UtcTime::now()).unix_ns) / 1'000'000'000;
}

Status write_metrics(const std::string& path, const ScrubReport& report, double seconds) {
  using Type = MetricsText::Type;
  MetricsText text;
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    text.single(name, Type::kGauge, help, value);
  };
  gauge("ashlar_scrub_oldest_check_time_seconds",
        "When the bytes were read that were read longest ago, in seconds since 1970.",
        report.age.oldest.unix_ns / 1'000'000'000);
  gauge("ashlar_scrub_unchecked_packs", "Packs that no scrub has read yet.", report.age.never_checked);
  gauge("ashlar_scrub_damaged_places", "Places that were read and are wrong.", report.found.damaged());
  gauge("ashlar_scrub_unread_places", "Places that could not be read.",
        report.found.damages.size() - report.found.damaged());
  gauge("ashlar_scrub_read_bytes", "Bytes that the last scrub read.", report.found.bytes_read.value);
  gauge("ashlar_scrub_seconds", "How long it took.", static_cast<std::uint64_t>(seconds));
  gauge("ashlar_scrub_ended_time_seconds", "When it ended, in seconds since 1970.",
        UtcTime::now().unix_ns / 1'000'000'000);
  const std::string metrics = text.take();
  TRY(replace_file(posix_file_system(), path, as_byte_span(metrics)).with_context(path));
  // Readable for the program that collects it.
  return ::chmod(path.c_str(), 0644) == 0 ? Status() : Status(last_errno(path));
}

Json report_json(const ScrubReport& report, double seconds) {
  return {{"ok", report.found.damages.empty()},
          {"packs", report.found.packs},
          {"read_bytes", report.found.bytes_read.value},
          {"store_packs", report.age.packs},
          {"unchecked_packs", report.age.never_checked},
          {"oldest_check", report.age.oldest.iso8601()},
          {"oldest_check_age_seconds", age_seconds(report.age)},
          {"cursor", fmt::format("{:03x}", report.cursor)},
          {"damages", damages_json(report.found)},
          {"sound_again", sound_again_json(report.found)},
          {"unrecorded", report.found.unrecorded},
          {"seconds", seconds}};
}

void print_report(const ScrubReport& report, double seconds) {
  for (const Damage& damage : report.found.damages) print(damage_text(damage));
  for (const SoundAgain& sound : report.found.sound_again) print(sound_again_text(sound));
  print(fmt::format("{}: {}, {} read in {}; everything was read since {}\n", damage_summary(report.found),
                    count_text(report.found.packs, "pack"), format_size(report.found.bytes_read.value),
                    duration_text(seconds),
                    report.age.never_checked > 0
                        ? fmt::format("never ({} not yet)", count_text(report.age.never_checked, "pack"))
                        : report.age.oldest.iso8601()));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  ScrubOptions wanted;
  wanted.bytes_per_second = options.rate;
  wanted.before.unix_ns -= options.since_days * kDayNs;
  if (!options.cursor.empty()) wanted.cursor = TRY(parse_cursor(options.cursor));
  const ScrubReport report = TRY(scrub_store(*store.repo, store.caller, wanted));
  const double seconds = monotonic_seconds() - started;
  globals.json ? print_json(report_json(report, seconds)) : print_report(report, seconds);
  if (!report.unnoted.empty())
    print_warning(fmt::format("how far the scrub is could not be noted, go on with --cursor {:03x}: {}",
                              report.cursor, report.unnoted));
  const ExitCode found = end_of_check(report.found);
  const Status written = options.metrics.empty() ? Status() : write_metrics(options.metrics, report, seconds);
  if (written.ok()) return found;
  if (found == ExitCode::kDone) return written.error();
  print_warning(written.error().text());
  return found;
}

}  // namespace

void add_scrub(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb =
      cli.add_verb("scrub", "Read what is stored, the longest unread first, and name what is damaged",
                   "  ashlar scrub\n"
                   "  ashlar scrub --since 30 --rate 50M --metrics /var/lib/node_exporter/ashlar.prom");
  verb.size("--rate", options->rate, "Bytes a second to read at most [no limit]");
  verb.number("--since", 0, 36500, options->since_days,
              "Leave out what was read in the last so many days [0]");
  verb.text("--cursor", "GROUP", options->cursor,
            "Begin here, for a store that can't be written; three digits from an earlier scrub's JSON");
  verb.text("--metrics", "FILE", options->metrics, "Write figures for Prometheus to this file");
  verb.check([options]() -> Status {
    if (!options->cursor.empty()) TRY(parse_cursor(options->cursor));
    return {};
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
