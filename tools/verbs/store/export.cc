// ashlar export: a snapshot as a disk of another program's format.
//
//   snapshot ─▶ our NBD server, read-only, in this process ─▶ qemu-img convert ─▶ new file
#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "disk/disk_format.h"
#include "host/snapshot_images.h"
#include "new_file.h"
#include "process/working_process.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/progress.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "serve/nbd_server.h"
#include "watched_export.h"

namespace ashlar {
namespace {

constexpr const char* kSocketName = "nbd.sock";
constexpr double kLookSeconds = 0.05;
constexpr std::uint64_t kSector = 512;
constexpr ByteCount kMaxVhd{std::uint64_t{2040} << 30U};
constexpr std::size_t kRunsAtOnce = 4096;

struct Options {
  std::string snapshot;
  std::string file;
  std::string format;
};

Result<DiskFormat> format_of(const Options& options) {
  const DiskFormat format =
      TRY(options.format.empty() ? disk_format_of_name(options.file)
                                 : parse_disk_format(options.format).with_context("--format"));
  if (format == DiskFormat::kVhdx)
    return invalid("vhdx is read, not written: --format vhd is what Hyper-V takes too");
  return format;
}

Status check_fits(const SnapshotRecord& record, DiskFormat format) {
  if (record.size.value == 0) return invalid(record.id.text() + " is empty: no disk has 0 bytes");
  if (format == DiskFormat::kVhd && record.size > kMaxVhd) {
    return invalid(fmt::format("{} has {}, a vhd holds at most 2040 GiB: use qcow2, vmdk or raw",
                               record.id.text(), format_size(record.size.value)));
  }
  return {};
}

// A lost block is never made zeros.
Status check_readable(const SnapshotRecord& record, const BaseImage& image) {
  if (record.unreadable_blocks.value == 0) return {};
  std::vector<BlockRange> lost;
  const Lba end{blocks_covering(record.size).value};
  for (Lba at{0}; at < end;) {
    for (const BaseRun& run : TRY(image.runs({at, BlockCount{end.value - at.value}}, kRunsAtOnce))) {
      if (run.kind == ExtentKind::kUnreadable) lost.push_back({at, run.count});
      at = at + run.count;
    }
  }
  return corrupt(
      fmt::format("{} lost blocks when it was taken: {}", record.id.text(), ranges_text(lost, record.size)));
}

// Returns the options of the format's writer. streamOptimized is the vmdk that vSphere and other hosts take
// in; VirtualBox and VMware's desktop programs convert it. Without force_size a vhd is rounded to a geometry.
std::vector<std::string> format_words(DiskFormat format) {
  std::vector<std::string> words = {"-O", std::string(qemu_driver(format))};
  if (format == DiskFormat::kVmdk)
    words.insert(words.end(), {"-o", "subformat=streamOptimized,adapter_type=lsilogic,compat6=on"});
  if (format == DiskFormat::kVhd) words.insert(words.end(), {"-o", "subformat=dynamic,force_size=on"});
  return words;
}

Result<std::unique_ptr<WorkingProcess>> start_qemu_img(const std::string& directory, DiskFormat format,
                                                       const std::string& target) {
  // By the socket's name in its working directory, which may be called anything.
  const Json socket{{"type", "unix"}, {"path", kSocketName}};
  const Json source{{"driver", "raw"}, {"file", {{"driver", "nbd"}, {"server", socket}}}};
  std::vector<std::string> words = {TRY(find_program("qemu-img", "qemu-utils")), "convert"};
  for (std::string& word : format_words(format)) words.push_back(std::move(word));
  words.insert(words.end(), {"json:" + source.dump(), target});
  return WorkingProcess::start(words, directory);
}

// Its own words name the working file; of two complaints ours tells more.
Status outcome(const WorkingProcess& qemu_img, WatchedExport& exported, const Options& options) {
  if (auto failure = exported.failure()) return std::move(*failure).with_context(options.snapshot);
  return qemu_img.outcome().with_context(options.file);
}

Status convert(const Globals& globals, const std::shared_ptr<WatchedExport>& exported, DiskFormat format,
               const std::string& target, const Options& options, const Stop& stop) {
  const PrivateDirectory directory = TRY(PrivateDirectory::make());
  SingleExport exports(exported);
  const auto server = TRY(NbdServer::start(exports, UnixAddress{directory.path() + "/" + kSocketName}));
  const ProgressDisplay display(globals, "export", [&exported] {
    ProgressSample sample;
    sample.total_bytes = exported->size().value;
    sample.done_bytes = exported->reached();
    return sample;
  });
  const auto qemu_img = TRY(start_qemu_img(directory.path(), format, target));
  while (!qemu_img->wait(kLookSeconds)) {
    if (stop.token().stop_requested()) return cancelled();
  }
  return outcome(*qemu_img, *exported, options);
}

struct Written {
  ByteCount disk;  // what a guest sees
  ByteCount file;
};

// QEMU counts in sectors. A raw file gets the snapshot's own size back; other formats have no room for a part
// of a sector, and show zeros behind the end.
Result<Written> settle_size(const SnapshotRecord& record, DiskFormat format, const std::string& path) {
  const std::uint64_t rounded = (record.size.value + kSector - 1) / kSector * kSector;
  const ByteCount disk = format == DiskFormat::kRaw ? record.size : ByteCount{rounded};
  if (format == DiskFormat::kRaw && ::truncate(path.c_str(), static_cast<off_t>(disk.value)) != 0)
    return last_errno(path);
  return Written{disk, ByteCount{TRY(posix_file_system().file_size(path))}};
}

void print_written(const Globals& globals, const SnapshotRecord& record, DiskFormat format,
                   const Options& options, const Written& written, double seconds) {
  if (written.disk != record.size) {
    print_warning(
        fmt::format("the disk has {} bytes more than the snapshot, zeros: {} counts in sectors of 512",
                    written.disk.value - record.size.value, disk_format_name(format)));
  }
  if (globals.json) {
    print_json({{"snapshot", record.id.text()},
                {"file", options.file},
                {"format", disk_format_name(format)},
                {"size_bytes", record.size.value},
                {"disk_bytes", written.disk.value},
                {"file_bytes", written.file.value},
                {"seconds", seconds}});
  } else {
    print_note(fmt::format("a disk of {} in {}", format_size(written.disk.value), duration_text(seconds)));
  }
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const DiskFormat format = TRY(format_of(options));
  const auto repo = TRY(open_store(globals));
  SnapshotImages images(*repo);
  TRY(check_outside_store(options.file, repo->address().directory));
  NewFile file = TRY(NewFile::begin(options.file));
  TRY(images.prepare());
  const SnapshotId id = TRY(SnapshotId::parse(options.snapshot));
  const SnapshotRecord record = TRY(repo->snapshots().get(id));
  TRY(check_fits(record, format));
  const auto image = TRY(images.open(id));
  TRY(check_readable(record, *image));
  TRY(stop.watch());
  ExportPools pools;
  const auto exported = std::make_shared<WatchedExport>(image, pools);
  TRY(convert(globals, exported, format, file.path(), options, stop));
  const Written written = TRY(settle_size(record, format, file.path()));
  TRY(file.publish());
  print_written(globals, record, format, options, written, monotonic_seconds() - started);
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
