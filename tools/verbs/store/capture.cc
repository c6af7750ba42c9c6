// ashlar capture: a source becomes a snapshot.
#include <fmt/format.h>

#include "action/snapshots.h"
#include "base/clock.h"
#include "disk/disk_format.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/changed_map.h"
#include "shapes/record_output.h"
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

// Reads the map of --changed, and takes the token of the state that it leads to.
Status read_changed(const Options& options, CaptureSource& request) {
  ChangedMapFile file = TRY(read_changed_map(options.changed));
  if (request.change_token.empty()) request.change_token = file.token;
  if (request.change_token != file.token)
    return invalid(fmt::format("--change-token is '{}', but {} leads to '{}'", request.change_token,
                               options.changed, file.token));
  request.changed = ChangedMap{std::move(file.ranges), std::move(file.since)};
  return {};
}

Result<CaptureSource> request_of(const Options& options) {
  CaptureSource request;
  request.source = options.source;
  if (options.parent == "none") request.parent = CaptureSource::Parent::kNone;
  if (options.parent != "none" && options.parent != "auto") {
    request.parent = CaptureSource::Parent::kGiven;
    request.given = TRY(SnapshotId::parse(options.parent));
  }
  request.change_token = options.change_token;
  request.bitmap = options.bitmap();
  if (!options.changed.empty() && !options.has_bitmap()) TRY(read_changed(options, request));
  request.freeze = options.freeze;
  request.live = options.live;
  request.paranoid = options.paranoid;
  request.skip_unreadable = options.skip_unreadable;
  if (options.expect_size != kAnySize) request.expected_bytes = ByteCount{options.expect_size};
  request.name = options.name;
  request.description = options.description;
  request.tags = TRY(parse_tags(options.tags));
  request.threads = options.threads;
  return request;
}

// Warns of what was hardly meant, and would otherwise be noticed too late.
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
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  const CaptureSource request = TRY(request_of(options));
  TRY(stop.watch());
  const CaptureReport report = TRY(capture_source(*store.repo, store.caller, request));
  TRY(print_captured(globals, report, monotonic_seconds() - started));
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
            "Name the state of the source that this snapshot holds, for the map of the next capture");
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
