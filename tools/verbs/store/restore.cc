// ashlar restore: a snapshot becomes a file, a device or a stream again.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "action/ranges_text.h"
#include "action/snapshots.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

constexpr std::size_t kNamedRanges = 8;  // ranges that were left out, as text

struct Options {
  std::string snapshot;
  std::string target;
  bool delta = false;
  bool discard = false;
  bool verify = false;
  bool force = false;
  bool skip_damaged = false;
  unsigned threads = 0;

  bool is_stream() const { return target == "-"; }
};

Status check(const Options& options, bool json) {
  if (!options.is_stream()) return {};
  if (options.skip_damaged)
    return invalid("--skip-damaged is for files and devices: a stream has no place for what is left out");
  if (options.delta || options.discard || options.verify || options.force) {
    return invalid("--delta, --discard, --verify and --force are for files and devices, not for a stream");
  }
  if (json) return invalid("--json and the stream would share standard output");
  return {};
}

Json left_out_json(const Restored& outcome) {
  Json list = Json::array();
  for (const LeftOut& left_out : outcome.report.left_out) {
    const ByteRange bytes = byte_range(left_out.range, outcome.snapshot.size);
    list.push_back(
        {{"offset", bytes.offset}, {"length", bytes.length}, {"why", loss_cause_text(left_out.cause)}});
  }
  return list;
}

// Names some of the ranges that were left out, a line each.
void print_left_out(const Options& options, const Restored& outcome) {
  const std::vector<LeftOut>& ranges = outcome.report.left_out;
  for (std::size_t i = 0; i < std::min(ranges.size(), kNamedRanges); ++i) {
    const ByteRange bytes = byte_range(ranges[i].range, outcome.snapshot.size);
    print_note(fmt::format("left out of {}: {} bytes at {}: {}", options.target, bytes.length, bytes.offset,
                           loss_cause_text(ranges[i].cause)));
  }
  if (ranges.size() > kNamedRanges)
    print_note(fmt::format("left out of {}: {} more, which --json lists", options.target,
                           count_text(ranges.size() - kNamedRanges, "range")));
}

Json report_json(const Options& options, const Restored& outcome, double seconds) {
  const RestoreReport& report = outcome.report;
  return {{"snapshot", options.snapshot},
          {"target", options.target},
          {"size_bytes", outcome.snapshot.size.value},
          {"data_bytes", report.data_bytes.value},
          {"written_bytes", report.written_bytes.value},
          {"zeroed_bytes", report.zeroed_bytes.value},
          {"discarded_bytes", report.discarded_bytes.value},
          {"same_bytes", report.same_bytes.value},
          {"segment_reads", report.segment_reads},
          {"resumed", outcome.resumed},
          {"verified", outcome.verified},
          {"left_out", left_out_json(outcome)},
          {"seconds", seconds}};
}

std::string report_text(const Restored& outcome, double seconds) {
  const RestoreReport& report = outcome.report;
  Table table(
      {">size", ">data", ">written", ">zeroed", ">discarded", ">same", ">time", ">speed", "verified"});
  table.add({format_size(outcome.snapshot.size.value), format_size(report.data_bytes.value),
             format_size(report.written_bytes.value), format_size(report.zeroed_bytes.value),
             format_size(report.discarded_bytes.value), format_size(report.same_bytes.value),
             duration_text(seconds),
             rate_text(std::max(report.data_bytes, report.written_bytes).value, seconds),
             outcome.verified ? "yes" : "no"});
  return table.text();
}

Result<Restored> restore(const OpenStore& store, const Options& options) {
  const SnapshotId id = TRY(SnapshotId::parse(options.snapshot));
  if (options.is_stream()) {
    if (::isatty(STDOUT_FILENO) != 0)
      return invalid("a disk is not written to a terminal: redirect standard output or give a target");
    return restore_to_stream(*store.repo, store.caller, id, STDOUT_FILENO);
  }
  return restore_to_target(*store.repo, store.caller,
                           {id, options.target, options.delta, options.discard, options.verify, options.force,
                            options.threads, options.skip_damaged});
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  const Restored outcome = TRY(restore(store, options));
  const double seconds = monotonic_seconds() - started;
  const ExitCode code = outcome.report.left_out.empty() ? ExitCode::kDone : ExitCode::kDamaged;
  if (globals.json) {
    print_json(report_json(options, outcome, seconds));
    return code;
  }
  std::string text = report_text(outcome, seconds);
  text.pop_back();
  print_note(text);
  print_left_out(options, outcome);
  return code;
}

}  // namespace

void add_restore(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("restore", "Write a snapshot to a file, a block device or standard output",
                           "  ashlar restore snap-01a2b3c4d5e6f7089 disk.raw\n"
                           "  ashlar restore snap-01a2b3c4d5e6f7089 /dev/sdb --delta --force --verify\n"
                           "  ashlar restore snap-01a2b3c4d5e6f7089 - | ssh host 'cat > /dev/sdb'");
  verb.snapshot("SNAP", options->snapshot, "The snapshot");
  verb.positional(
      "TARGET", "TARGET", options->target,
      "A new file (sparse), an existing file or block device (never truncated), or - for standard "
      "output");
  verb.flag("--delta", options->delta, "Read the target and write only what differs");
  verb.flag("--discard", options->discard, "Discard what was unallocated instead of writing zeros there");
  verb.flag("--verify", options->verify, "Read the target back and compare it with the snapshot");
  verb.flag("--force", options->force,
            "Write although the target holds a known file system, RAID or partition table; what has no known "
            "signature is overwritten without asking");
  verb.flag("--skip-damaged", options->skip_damaged,
            "Leave out what can't be read of the store, name it, and restore all else (exit status 3)");
  verb.number("--threads", 1, 1024, options->threads, "Threads for reading and decoding [two a processor]");
  verb.check([options, &globals = cli.globals()] { return check(*options, globals.json); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
