// ashlar restore: a snapshot becomes a file, a device or a stream again.
#include "restore/restore.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/progress.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "quiesce/mounts.h"

namespace ashlar {
namespace {

struct Options {
  std::string snapshot;
  std::string target;
  bool delta = false;
  bool discard = false;
  bool verify = false;
  bool force = false;
  unsigned threads = 0;

  bool is_stream() const { return target == "-"; }
};

struct Outcome {
  RestoreReport report;
  bool resumed = false;
  bool verified = false;
};

Status check(const Options& options, bool json) {
  if (!options.is_stream()) return {};
  if (options.delta || options.discard || options.verify || options.force) {
    return invalid("--delta, --discard, --verify and --force are for files and devices, not for a stream");
  }
  if (json) return invalid("--json and the stream would share standard output");
  return {};
}

ProgressSample sample_of(const RestoreProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.written_bytes = progress.written_bytes;
  return sample;
}

Status verify_target(const Globals& globals, const ReadParts& parts, const SnapshotRecord& snapshot,
                     const Options& options, const Stop& stop) {
  const std::unique_ptr<Target> target = TRY(Target::open_to_compare(options.target));
  RestoreProgress progress;
  const ProgressDisplay display(globals, "verify", [&progress] { return sample_of(progress); });
  const auto different = TRY(compare(parts, snapshot, *target, progress, stop.token()));
  if (different.empty()) return {};
  return corrupt(fmt::format("{} does not read back as it was written: {} differ: check the device",
                             options.target, ranges_text(different, snapshot.size)));
}

// A device in use refuses to be opened; a file that is used through a loop device has to be asked about.
Status check_unused(const std::string& target) {
  auto mounts = mounts_of(target);
  if (is(mounts, ErrorCode::kNotFound)) return {};
  for (const MountUse& mount : TRY(std::move(mounts))) {
    return busy(fmt::format("{} is mounted on {}: unmount it first", target, mount.mount_point));
  }
  auto loops = held_loops_over(target);
  if (is(loops, ErrorCode::kNotFound)) return {};
  for (const std::string& loop : TRY(std::move(loops))) {
    return busy(fmt::format("{} is used by another program through {}: end that use first", target, loop));
  }
  return {};
}

Result<Outcome> restore_to_target(const Globals& globals, const ReadParts& parts,
                                  const SnapshotRecord& snapshot, const Options& options, const Stop& stop) {
  TRY(check_unused(options.target));
  std::unique_ptr<Target> target = TRY(Target::open(options.target, snapshot.size, options.force));
  Outcome outcome;
  outcome.resumed = target->is_resumed();
  if (outcome.resumed) {
    print_note(
        fmt::format("ashlar: taking up {}, which an interrupted restore left: only what differs is written",
                    partial_name(options.target)));
  }
  const RestoreOptions how = {options.delta || outcome.resumed, options.discard, options.threads};
  {
    RestoreProgress progress;
    const ProgressDisplay display(globals, "restore", [&progress] { return sample_of(progress); });
    outcome.report = TRY(restore(parts, snapshot, *target, how, progress, stop.token()));
  }
  target.reset();
  if (options.verify) TRY(verify_target(globals, parts, snapshot, options, stop));
  outcome.verified = options.verify;
  return outcome;
}

Result<Outcome> restore_to_stream(const Globals& globals, const ReadParts& parts,
                                  const SnapshotRecord& snapshot, const Stop& stop) {
  if (::isatty(STDOUT_FILENO) != 0) {
    return invalid("a disk is not written to a terminal: redirect standard output or give a target");
  }
  RestoreProgress progress;
  const ProgressDisplay display(globals, "restore", [&progress] { return sample_of(progress); });
  Outcome outcome;
  outcome.report = TRY(restore_stream(parts, snapshot, STDOUT_FILENO, progress, stop.token()));
  return outcome;
}

Json report_json(const Options& options, const SnapshotRecord& snapshot, const Outcome& outcome,
                 double seconds) {
  const RestoreReport& report = outcome.report;
  return {{"snapshot", options.snapshot},
          {"target", options.target},
          {"size_bytes", snapshot.size.value},
          {"data_bytes", report.data_bytes.value},
          {"written_bytes", report.written_bytes.value},
          {"zeroed_bytes", report.zeroed_bytes.value},
          {"discarded_bytes", report.discarded_bytes.value},
          {"same_bytes", report.same_bytes.value},
          {"segment_reads", report.segment_reads},
          {"resumed", outcome.resumed},
          {"verified", outcome.verified},
          {"seconds", seconds}};
}

std::string report_text(const SnapshotRecord& snapshot, const Outcome& outcome, double seconds) {
  const RestoreReport& report = outcome.report;
  Table table(
      {">size", ">data", ">written", ">zeroed", ">discarded", ">same", ">time", ">speed", "verified"});
  table.add({format_size(snapshot.size.value), format_size(report.data_bytes.value),
             format_size(report.written_bytes.value), format_size(report.zeroed_bytes.value),
             format_size(report.discarded_bytes.value), format_size(report.same_bytes.value),
             duration_text(seconds),
             rate_text(std::max(report.data_bytes, report.written_bytes).value, seconds),
             outcome.verified ? "yes" : "no"});
  return table.text();
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const SnapshotRecord snapshot = TRY(repo->snapshots().get(TRY(SnapshotId::parse(options.snapshot))));
  if (!options.is_stream()) TRY(check_outside_store(options.target, repo->address().directory));
  const ReadParts parts = TRY(repo->read_parts());
  const Outcome outcome =
      TRY(options.is_stream() ? restore_to_stream(globals, parts, snapshot, stop)
                              : restore_to_target(globals, parts, snapshot, options, stop));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json(report_json(options, snapshot, outcome, seconds));
    return ExitCode::kDone;
  }
  std::string text = report_text(snapshot, outcome, seconds);
  text.pop_back();
  print_note(text);
  return ExitCode::kDone;
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
  verb.number("--threads", 1, 1024, options->threads, "Threads for reading and decoding [two a processor]");
  verb.check([options, &globals = cli.globals()] { return check(*options, globals.json); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
