// ashlar capture: a source becomes a snapshot.
#include <fmt/format.h>

#include <filesystem>

#include "base/clock.h"
#include "base/units.h"
#include "catalog/volumes.h"
#include "changed_map.h"
#include "cli.h"
#include "output.h"
#include "quiescence.h"
#include "record_output.h"
#include "source_capture.h"
#include "stop.h"
#include "store_option.h"
#include "tag_words.h"

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

// Of the one source that --freeze and --live are about.
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
  out.parent = TRY(find_parent(repo, source, options.parent));
  out.changed = TRY(find_changed(source, options, out.change_token));
  out.paranoid = options.paranoid;
  out.skip_unreadable = options.skip_unreadable;
  out.name = options.name;
  out.description = options.description;
  out.tags = TRY(parse_tags(options.tags));
  out.threads = options.threads;
  return out;
}

std::string report_text(const CaptureReport& report, double seconds) {
  const SnapshotRecord& record = report.record;
  const std::uint64_t new_bytes = byte_count(record.new_blocks).value;
  Table table({">size", ">read", ">new", ">stored", ">dedup", ">time", ">speed"});
  table.add({format_size(record.size.value), format_size(report.read_bytes.value), format_size(new_bytes),
             format_size(record.new_stored_bytes.value), ratio_text(report.read_bytes.value, new_bytes),
             duration_text(seconds), rate_text(report.read_bytes.value, seconds)});
  return table.text();
}

// The snapshot exists, whatever becomes of the answer.
Status check_answer(const CaptureReport& report) {
  if (finish_output()) return {};
  return Error(ErrorCode::kIo, report.record.id.text() + " is made, but standard output can't be written");
}

Status print_report(const Globals& globals, const CaptureReport& report, double seconds) {
  for (const std::string& warning : report.warnings) print_warning(warning);
  if (!report.unreadable.empty()) {
    print_warning(
        fmt::format("recorded as unreadable: {}", ranges_text(report.unreadable, report.record.size)));
  }
  if (globals.json) {
    Json document = capture_json(report);
    document["seconds"] = seconds;
    print_json(document);
    return check_answer(report);
  }
  print(report.record.id.text() + "\n");
  TRY(check_answer(report));
  std::string text = report_text(report, seconds);
  text.pop_back();
  print_note(text);
  return {};
}

// The raw file of a volume is the volume only once it is detached, and only while nobody serves it: until
// then its absent blocks would be captured as zeros. The lock is held while it is captured.
Result<std::unique_ptr<FileLock>> hold_raw_file(Repo& repo, const std::string& source) {
  std::error_code failed;
  const std::filesystem::path file = std::filesystem::canonical(source, failed);
  if (failed || file.filename() != "data") return std::unique_ptr<FileLock>();
  const std::filesystem::path folder = file.parent_path();
  const auto id = VolumeId::parse(folder.filename().string());
  const bool is_ours =
      id.ok() && folder.parent_path() == std::filesystem::canonical(repo.path(), failed) / "overlays";
  if (!is_ours) return std::unique_ptr<FileLock>();
  if (!TRY(VolumeCatalog(repo.objects()).get(id.value())).is_detached) {
    return invalid(fmt::format("{} holds only a part of {}: 'ashlar volume snapshot {}' takes all of it",
                               source, id.value().text(), id.value().text()));
  }
  auto lock = posix_file_system().lock(folder.string() + "/lock");
  if (!lock.ok() && lock.error().code() == ErrorCode::kBusy)
    return busy(id.value().text() + " is being served: end that first, or its file would be captured torn");
  return lock;
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
  Frozen frozen = TRY(freeze_all(options.freeze, repo->path()));
  TRY(stop.watch());
  const CaptureReport report =
      TRY(capture_source(globals, *repo, *source, std::move(how), options.parent == "auto", stop));
  Status thawed = thaw_all(frozen);
  if (!thawed.ok()) {
    return thawed.take_error().with_context(report.record.id.text() +
                                            " is made, but its source is still frozen");
  }
  TRY(print_report(globals, report, monotonic_seconds() - started));
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
