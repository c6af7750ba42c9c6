// ashlar volume hydrate, snapshot, clone, detach-store: the data of a volume, wherever it is open.
#include "action/volumes.h"
#include "base/clock.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "program/stop.h"
#include "shapes/record_output.h"
#include "shapes/tag_words.h"
#include "shapes/volume_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string volume;
  std::uint64_t size = 0;
  std::uint64_t rate = 0;
  std::string name;
  std::string description;
  std::vector<std::string> tags;
};
using Shared = std::shared_ptr<Options>;

Result<VolumeId> volume_of(const Options& options) { return VolumeId::parse(options.volume); }

Result<ExitCode> hydrate(const Globals& globals, const Options& options) {
  Stop stop;
  const OpenHost open = TRY(open_host(globals, stop.token()));
  const VolumeId id = TRY(volume_of(options));
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const VolumeState state = TRY(hydrate_volume(*open.host, open.caller, id, options.rate));
  if (globals.json) {
    print_json({{"volume", id.text()},
                {"state", volume_state_json(state)},
                {"seconds", monotonic_seconds() - started}});
  }
  return ExitCode::kDone;
}

Result<ExitCode> snapshot(const Globals& globals, const Options& options) {
  Stop stop;
  const OpenHost open = TRY(open_host(globals, stop.token()));
  SnapshotVolumeRequest request;
  request.volume = TRY(volume_of(options));
  request.name = options.name;
  request.description = options.description;
  request.tags = TRY(parse_tags(options.tags));
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const CaptureReport report = TRY(snapshot_volume(*open.host, open.caller, request));
  Json answer = capture_json(report);
  answer["seconds"] = monotonic_seconds() - started;
  globals.json ? print_json(answer) : print(report.record.id.text() + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> clone(const Globals& globals, const Options& options) {
  Stop stop;
  const OpenHost open = TRY(open_host(globals, stop.token()));
  CloneVolumeRequest request;
  request.volume = TRY(volume_of(options));
  request.size = ByteCount{options.size};
  request.name = options.name;
  request.tags = TRY(parse_tags(options.tags));
  TRY(stop.watch());
  const VolumeRecord record = TRY(clone_volume(*open.host, open.caller, request));
  globals.json ? print_json({{"volume", volume_json(record)}}) : print(record.id.text() + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> detach(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  const VolumeId id = TRY(volume_of(options));
  const std::string path = TRY(detach_from_store(*open.host, open.caller, id));
  globals.json ? print_json({{"volume", id.text()}, {"data", path}}) : print(path + "\n");
  return ExitCode::kDone;
}

void on_run(Cli& cli, const Shared& options, Result<ExitCode> (*run)(const Globals&, const Options&)) {
  cli.on_run(Needs::kStore, [options, run](const Globals& globals) { return run(globals, *options); });
}

void add_hydrate(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb("volume hydrate", "Fetch every block that a volume does not hold yet",
                           "  ashlar volume hydrate vol-01a2b3c4d5e6f7089 --rate 100M");
  verb.volume("VOL", options->volume, "The volume");
  verb.size("--rate", options->rate, "Bytes a second at most [no limit]");
  on_run(cli, options, hydrate);
}

void add_snapshot(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb(
      "volume snapshot", "Make a snapshot of a volume, also while it is served, and print the snapshot's id",
      "  ashlar volume snapshot vol-01a2b3c4d5e6f7089 --name before-upgrade");
  verb.volume("VOL", options->volume, "The volume");
  verb.text("--name", "TEXT", options->name, "A name for the snapshot");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  on_run(cli, options, snapshot);
}

void add_clone(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb(
      "volume clone", "Make a volume from what another one holds now, and print its id; the snapshot stays",
      "  ashlar volume clone vol-01a2b3c4d5e6f7089 --name try-the-upgrade");
  verb.volume("VOL", options->volume, "The volume to be cloned, served or not");
  verb.size("--size", options->size, "The size of the clone, at least that of the volume [the same]", 1);
  verb.text("--name", "TEXT", options->name, "A name for the clone");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  on_run(cli, options, clone);
}

void add_detach(Cli& cli, const Shared& options) {
  Verb verb =
      cli.add_verb("volume detach-store", "End a hydrated volume's need of the store; print its raw file",
                   "  ashlar volume detach-store vol-01a2b3c4d5e6f7089");
  verb.volume("VOL", options->volume, "The volume");
  on_run(cli, options, detach);
}

}  // namespace

void add_volume_data(Cli& cli) {
  const auto options = std::make_shared<Options>();
  add_hydrate(cli, options);
  add_snapshot(cli, options);
  add_clone(cli, options);
  add_detach(cli, options);
}

}  // namespace ashlar
