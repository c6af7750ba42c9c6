// ashlar export: a snapshot as a disk of another program's format.
#include <fmt/format.h>

#include "action/disks.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  std::string snapshot;
  std::string file;
  std::string format;
};

Result<DiskFormat> format_of(const Options& options) {
  const DiskFormat format =
      TRY(options.format.empty() ? disk_format_of_name(options.file)
                                 : parse_disk_format(options.format).with_context("--format"));
  TRY(check_export_format(format));
  return format;
}

void print_exported(const Globals& globals, DiskFormat format, const Options& options,
                    const ExportedDisk& written, double seconds) {
  const ByteCount size = written.snapshot.size;
  if (written.disk != size)
    print_warning(fmt::format(
        "the disk has {} more than the snapshot, which are zeros: {} counts in sectors of 512 bytes",
        count_text(written.disk.value - size.value, "byte"), disk_format_name(format)));
  if (!globals.json) {
    print_note(
        fmt::format("Exported a disk of {} in {}", format_size(written.disk.value), duration_text(seconds)));
    return;
  }
  print_json({{"snapshot", written.snapshot.id.text()},
              {"file", options.file},
              {"format", disk_format_name(format)},
              {"size_bytes", size.value},
              {"disk_bytes", written.disk.value},
              {"file_bytes", written.file.value},
              {"seconds", seconds}});
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const DiskFormat format = TRY(format_of(options));
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  TRY(stop.watch());
  const ExportSnapshot request = {TRY(SnapshotId::parse(options.snapshot)), options.file, format};
  const ExportedDisk written = TRY(export_snapshot(*store.repo, store.caller, request));
  print_exported(globals, format, options, written, monotonic_seconds() - started);
  return ExitCode::kDone;
}

}  // namespace

void add_export(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("export", "Write a snapshot into a new file of another program's disk format",
                           "  ashlar export snap-01a2b3c4d5e6f7089 web.qcow2\n"
                           "  # for vSphere, and for Hyper-V\n"
                           "  ashlar export snap-01a2b3c4d5e6f7089 web.vmdk\n"
                           "  ashlar export snap-01a2b3c4d5e6f7089 web.img --format vhd");
  verb.snapshot("SNAP", options->snapshot, "The snapshot");
  verb.positional("FILE", "FILE", options->file, "A new file");
  verb.text("--format", "raw|qcow2|vmdk|vhd", options->format, "Its format [what the file's name ends in]");
  verb.check([options]() -> Status {
    TRY(format_of(*options));
    return {};
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
