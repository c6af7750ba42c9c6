// ashlar capture: a source becomes a snapshot.
#include <fmt/format.h>

#include "base/clock.h"
#include "capture_flow.h"
#include "disk/disk_format.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "quiesce/quiescence.h"
#include "shapes/changed_map.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

constexpr std::string_view kBitmapPrefix = "bitmap:";
constexpr std::uint64_t kAnySize = ~std::uint64_t{0};

struct Options {
  std::string source;
  std::string parent = "auto";
  std::string name;
  std::string description;
  std::vector<std::string> tags;
  std::string changed;
  std::string change_token;
  std::vector<std::string> freeze;
  bool paranoid = false;
  bool live = false;
  bool skip_unreadable = false;
  unsigned threads = 0;
  std::uint64_t expect_size = kAnySize;

  bool has_bitmap() const { return changed.starts_with(kBitmapPrefix); }
  std::string bitmap() const { return has_bitmap() ? changed.substr(kBitmapPrefix.size()) : ""; }
};

Status check(const Options& options) {
  TRY(parse_tags(options.tags));
  if (options.live && !options.freeze.empty()) return invalid("--live and --freeze exclude each other");
  if (options.expect_size != kAnySize && options.source != "-") {
    return invalid("--expect-size is for a stream: give - as the source");
  }
  if (options.changed == kBitmapPrefix) return invalid("--changed bitmap:NAME needs the bitmap's name");
  if (options.parent == "auto" || options.parent == "none") return {};
  const auto id = SnapshotId::parse(options.parent);
  if (!id.ok()) return invalid("--parent: " + id.error().text() + ", or auto, or none");
  return {};
}

Result<std::optional<SnapshotRecord>> find_parent(Repo& repo, const Source& source, const Options& options) {
  if (options.parent == "none") return std::optional<SnapshotRecord>();
  if (options.parent != "auto") {
    return std::optional(TRY(repo.snapshots().get(TRY(SnapshotId::parse(options.parent)))));
  }
  return newest_of_source(repo, source);
}

Result<std::optional<ChangedMap>> find_changed(Source& source, const Options& options,
                                               std::string& change_token) {
  if (options.changed.empty()) return std::optional<ChangedMap>();
  if (options.has_bitmap()) {
    auto ranges = TRY(source.changed_extents());
    if (!ranges) {
      return unsupported(
          fmt::format("{} keeps no map of changes; bitmaps are for NBD sources", source.name()));
    }
    return std::optional(ChangedMap{std::move(*ranges), options.bitmap()});
  }
  ChangedMapFile file = TRY(read_changed_map(options.changed));
  if (change_token.empty()) change_token = file.token;
  if (change_token != file.token) {
    return invalid(fmt::format("--change-token is '{}', but {} leads to '{}'", change_token, options.changed,
                               file.token));
  }
  return std::optional(ChangedMap{std::move(file.ranges), std::move(file.since)});
}

// Checks the source that --freeze and --live are about.
Result<Consistency> check_consistency(const Source& source, const Options& options) {
  const Consistencies found =
      TRY(check_quiescence({{&source, options.source}}, options.freeze, options.live));
  for (const std::string& mount_point : found.unused)
    print_warning(fmt::format("--freeze {}: {} is not mounted there, and does not lie there", mount_point,
                              source.name()));
  return found.of_sources.front();
}

SourceOptions source_options(const Options& options) {
  SourceOptions out;
  out.dirty_bitmap = options.bitmap();
  if (options.expect_size != kAnySize) out.expected_bytes = ByteCount{options.expect_size};
  return out;
}

Result<CaptureOptions> engine_options(Repo& repo, Source& source, const Options& options) {
  CaptureOptions out;
  out.change_token = options.change_token;
  out.parent = TRY(find_parent(repo, source, options));
  out.changed = TRY(find_changed(source, options, out.change_token));
  out.paranoid = options.paranoid;
  out.skip_unreadable = options.skip_unreadable;
  out.name = options.name;
  out.description = options.description;
  out.tags = TRY(parse_tags(options.tags));
  out.threads = options.threads;
  return out;
}

// Warns of captures that are probably a mistake, which would be noticed too late.
void warn_of_mistakes(const Options& options, const CaptureReport& report) {
  if (report.record.size.value == 0)
    print_warning((options.source == "-" ? "standard input" : options.source) +
                  " is empty: the snapshot has 0 bytes");
  const auto format = disk_format_of_name(options.source);
  if (format.ok() && format.value() != DiskFormat::kRaw)
    print_warning(
        fmt::format("{} was captured byte by byte, as a raw disk: 'ashlar import-disk' takes the disk "
                    "that is in a {}",
                    options.source, disk_format_name(format.value())));
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const std::unique_ptr<FileLock> raw_file = TRY(hold_raw_file(*repo, options.source));
  const std::unique_ptr<Source> source = TRY(open_source(options.source, source_options(options)));
  const Consistency consistency = TRY(check_consistency(*source, options));
  CaptureOptions how = TRY(engine_options(*repo, *source, options));
  how.consistency = consistency;
  // The guardian that thaws if we die is a fork: before the first thread.
  Frozen frozen = TRY(Frozen::freeze(options.freeze, repo->address().directory));
  TRY(stop.watch());
  const CaptureReport report = TRY(capture_with_progress(globals, "capture", *repo, *source, std::move(how),
                                                         options.parent == "auto", stop));
  Status thawed = frozen.thaw();
  if (!thawed.ok()) {
    return thawed.take_error().with_context(report.record.id.text() +
                                            " is made, but its source is still frozen");
  }
  TRY(print_report(globals, report, monotonic_seconds() - started));
  warn_of_mistakes(options, report);
  return ExitCode::kDone;
}

void add_options(Verb& verb, Options& options) {
  verb.positional(
      "SOURCE", "SOURCE", options.source,
      "A disk image, a block device, an NBD URI (nbd://host/export, nbd+unix:///?socket=path), or - "
      "for a raw stream on standard input");
  verb.text("--parent", "SNAP|auto|none", options.parent,
            "The snapshot to compare with: auto (the newest of the same source), none, or an id [auto]");
  verb.text("--name", "TEXT", options.name, "A name for the snapshot");
  verb.text("--description", "TEXT", options.description, "A description");
  verb.texts("--tag", "KEY=VALUE", options.tags, "A tag; may be given more than once");
  verb.text("--changed", "FILE|bitmap:NAME", options.changed,
            "What changed since the parent: a JSON file, or a dirty bitmap of an NBD source");
  verb.text("--change-token", "TEXT", options.change_token,
            "Names the state of the source that this snapshot holds, for the map of the next capture");
  verb.flag("--paranoid", options.paranoid,
            "Trust no map and no region hash: compare every block by SHA-256");
  verb.texts("--freeze", "DIRECTORY", options.freeze,
             "Freeze this mounted file system during the capture; may be given more than once");
  verb.flag("--live", options.live, "Capture although the source is mounted and may be written to meanwhile");
  verb.flag("--skip-unreadable", options.skip_unreadable,
            "Record bad sectors as unreadable instead of failing");
  verb.size(
      "--expect-size", options.expect_size,
      "Fail unless the stream has exactly this size; without it, a sender that dies leaves a short snapshot");
  verb.number("--threads", 1, 1024, options.threads, "Threads for hashing and compressing [one a processor]");
}

}  // namespace

void add_capture(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("capture", "Capture a disk as a snapshot and print the snapshot's id",
                           "  ashlar capture /dev/vg/db --name nightly --tag host=db1\n"
                           "  ashlar capture disk.raw --changed changed.json\n"
                           "  ashlar capture nbd://localhost/vda --changed bitmap:b1 --change-token b2\n"
                           "  ssh host cat /dev/sdb | ashlar capture - --name sdb --expect-size 40G");
  add_options(verb, *options);
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
