// ashlar volume …: writable disks over snapshots.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "attachment.h"
#include "base/clock.h"
#include "base/units.h"
#include "control.h"
#include "host/volume_host.h"
#include "machine/instances.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/progress.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/record_output.h"
#include "shapes/tag_words.h"
#include "shapes/volume_output.h"
#include "volume/hydrator.h"

namespace ashlar {
namespace {

struct Options {
  std::string volume;
  std::string snapshot;
  std::uint64_t size = 0;
  std::uint64_t rate = 0;
  std::string name;
  std::string description;
  std::vector<std::string> tags;
};
using Shared = std::shared_ptr<Options>;

constexpr std::chrono::milliseconds kPoll{200};

std::string overlays_directory(VolumeHost& host) { return host.repo().host().overlays(); }

// A server of all volumes serves a new one at once. Where none runs, nothing is lost.
void offer_to_server(VolumeHost& host, VolumeId id) {
  const auto answer = ask_server(overlays_directory(host), {{"verb", "open"}, {"volume", id.text()}});
  if (!answer.ok() && answer.error().code() != ErrorCode::kNotFound)
    print_warning(fmt::format("{} is there, but not served yet: {}", id.text(), answer.error().text()));
}

Result<ExitCode> make(const Globals& globals, VolumeHost& host, VolumeSpec spec) {
  spec.owner = TRY(volume_owner(globals, host.repo().config().id));
  const VolumeRecord record = TRY(host.create(spec));
  offer_to_server(host, record.id);
  globals.json ? print_json({{"volume", volume_json(record)}}) : print(record.id.text() + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> create(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  return make(globals, *host,
              {TRY(SnapshotId::parse(options.snapshot)),
               ByteCount{options.size},
               options.name,
               TRY(parse_tags(options.tags)),
               {}});
}

Result<ExitCode> list(const Globals& globals) {
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const std::vector<VolumeRecord> records = TRY(VolumeCatalog(repo->objects()).list());
  if (globals.json) {
    Json volumes = Json::array();
    for (const VolumeRecord& record : records) volumes.push_back(volume_json(record));
    print_json({{"volumes", volumes}});
    return ExitCode::kDone;
  }
  Table table({"ID", "CREATED", ">SIZE", "SNAPSHOT", "NAME"});
  for (const VolumeRecord& record : records) {
    table.add({record.id.text(), record.created.iso8601(), format_size(record.size.value),
               record.is_detached ? "detached" : record.base.text(), record.name});
  }
  print(table.text());
  return ExitCode::kDone;
}

bool is_open_elsewhere(const Error& error) { return error.code() == ErrorCode::kBusy; }

// Asks whoever has the volume open. Another verb answers nothing: then the volume is just busy.
Result<Json> ask_holder(VolumeHost& host, VolumeId id, Error is_busy, const Json& request) {
  auto answer = ask_server(host.overlay_directory(id), request);
  if (is(answer, ErrorCode::kNotFound)) return is_busy;
  return answer;
}

Result<Json> state_of(VolumeHost& host, VolumeId id) {
  auto volume = host.open_volume(id);
  if (!volume.ok() && is_open_elsewhere(volume.error())) {
    return ask_holder(host, id, volume.take_error(), {{"verb", "describe"}});
  }
  if (!volume.ok()) return volume.take_error();
  Json state = volume_state_json(*volume.value(), false);
  TRY(volume.value()->overlay().close());
  return state;
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  const VolumeRecord record = TRY(host->catalog().get(id));
  const Json state = TRY(state_of(*host, id));
  globals.json ? print_json({{"volume", volume_json(record)}, {"state", state}})
               : print(volume_text(record, state));
  return ExitCode::kDone;
}

Status resize_volume(VolumeHost& host, VolumeId id, ByteCount size) {
  TRY(host.catalog().get(id));  // an id that nobody knows is told apart from an overlay that is gone
  auto overlay = host.open_overlay(id);
  if (!overlay.ok() && is_open_elsewhere(overlay.error())) {
    TRY(ask_holder(host, id, overlay.take_error(), {{"verb", "resize"}, {"size", size.value}}));
    return {};
  }
  if (!overlay.ok()) return overlay.take_error();
  TRY(host.resize(id, *overlay.value(), size));
  return overlay.value()->close();
}

Result<ExitCode> resize(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  TRY(resize_volume(*host, id, ByteCount{options.size}));
  if (globals.json) print_json({{"volume", volume_json(TRY(host->catalog().get(id)))}});
  return ExitCode::kDone;
}

// A server of all volumes lets go of one that no client uses.
Status remove_volume(VolumeHost& host, VolumeId id) {
  if (const auto owner = TRY(Instances(posix_file_system(), host.repo().host().instances()).owner_of(id)))
    return busy(fmt::format("{} is in use by {}: terminate that machine", id.text(), owner->id.text()));
  const Attachments held = TRY(hold_unattached(host.repo().host(), id));
  Status removed = host.remove(id);
  if (removed.ok() || !is_open_elsewhere(removed.error())) return removed;
  const auto closed = ask_server(overlays_directory(host), {{"verb", "close"}, {"volume", id.text()}});
  if (closed.ok()) return host.remove(id);
  return closed.error().code() == ErrorCode::kNotFound
             ? std::move(removed)
             : Status(Error(closed.error().code(), closed.error().text()));
}

Result<ExitCode> remove(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  TRY(remove_volume(*host, id));
  if (globals.json) print_json({{"deleted", id.text()}});
  return ExitCode::kDone;
}

ProgressSample sample_of(const HydrateProgress& progress) {
  ProgressSample sample;
  sample.total_bytes = progress.total_bytes;
  sample.done_bytes = progress.done_bytes;
  sample.read_bytes = progress.fetched_bytes;
  return sample;
}

Result<Json> hydrate_here(const Globals& globals, Volume& volume, std::uint64_t rate, const Stop& stop) {
  HydrateProgress progress;
  Status done;
  {
    const ProgressDisplay display(globals, "hydrate", [&progress] { return sample_of(progress); });
    done = hydrate(volume, {rate, false}, progress, stop.token());
  }
  TRY(volume.overlay().close());
  TRY(std::move(done));
  return volume_state_json(volume, false);
}

// Starts it in the server that has the volume open, and waits for its end. The server goes on when the wait
// is cut off.
Result<Json> hydrate_there(const Globals& globals, VolumeHost& host, VolumeId id, Error is_busy,
                           std::uint64_t rate, const Stop& stop) {
  HydrateProgress progress;
  const ProgressDisplay display(globals, "hydrate", [&progress] { return sample_of(progress); });
  Json state = TRY(ask_holder(host, id, std::move(is_busy), {{"verb", "hydrate"}, {"rate", rate}}));
  progress.total_bytes = TRY(host.catalog().get(id)).size.value;
  while (state.value("hydrating", false)) {
    if (stop.token().stop_requested())
      return Error(ErrorCode::kCancelled, "stopped waiting; the server goes on hydrating");
    progress.done_bytes = progress.total_bytes - std::min(progress.total_bytes.load(),
                                                          state.value("absent_bytes", std::uint64_t{0}));
    progress.fetched_bytes = state.value("fetched_bytes", std::uint64_t{0});
    std::this_thread::sleep_for(kPoll);
    state = TRY(ask_server(host.overlay_directory(id), {{"verb", "describe"}}));
  }
  if (state.contains("hydration_error"))
    return Error(ErrorCode::kIo, state["hydration_error"].get<std::string>());
  return state;
}

Result<ExitCode> hydrate_volume(const Globals& globals, const Options& options) {
  Stop stop;
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  auto volume = host->open_volume(id);
  if (!volume.ok() && !is_open_elsewhere(volume.error())) return volume.take_error();
  TRY(stop.watch());
  const double started = monotonic_seconds();
  const Json state = volume.ok()
                         ? TRY(hydrate_here(globals, *volume.value(), options.rate, stop))
                         : TRY(hydrate_there(globals, *host, id, volume.take_error(), options.rate, stop));
  if (globals.json)
    print_json({{"volume", id.text()}, {"state", state}, {"seconds", monotonic_seconds() - started}});
  return ExitCode::kDone;
}

Result<std::string> detach_volume(VolumeHost& host, VolumeId id) {
  auto overlay = host.open_overlay(id);
  if (!overlay.ok() && is_open_elsewhere(overlay.error())) {
    const Json answer = TRY(ask_holder(host, id, overlay.take_error(), {{"verb", "detach"}}));
    return answer.value("data", "");
  }
  if (!overlay.ok()) return overlay.take_error();
  std::string path = TRY(host.detach(id, *overlay.value()));
  TRY(overlay.value()->close());
  return path;
}

Result<ExitCode> detach(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  const std::string path = TRY(detach_volume(*host, id));
  globals.json ? print_json({{"volume", id.text()}, {"data", path}}) : print(path + "\n");
  return ExitCode::kDone;
}

Result<Json> snapshot_here(const Globals& globals, VolumeHost& host, VolumeId id, Volume& volume,
                           const CaptureOptions& how, const Stop& stop) {
  CaptureProgress progress;
  CaptureReport report = TRY([&] {
    const ProgressDisplay display(globals, "volume snapshot", [&progress] { return sample_of(progress); });
    return host.snapshot(id, volume, how, progress, stop.token());
  }());
  TRY(volume.overlay().close());
  return capture_json(report);
}

// Of a volume that this process opens, or through the server that has it open.
Result<Json> take_snapshot(const Globals& globals, VolumeHost& host, VolumeId id, const CaptureOptions& how) {
  Stop stop;
  auto volume = host.open_volume(id);
  if (!volume.ok() && !is_open_elsewhere(volume.error())) return volume.take_error();
  TRY(stop.watch());
  const double started = monotonic_seconds();
  Json answer = volume.ok() ? TRY(snapshot_here(globals, host, id, *volume.value(), how, stop))
                            : TRY(ask_holder(host, id, volume.take_error(),
                                             {{"verb", "snapshot"},
                                              {"name", how.name},
                                              {"description", how.description},
                                              {"tags", how.tags}}));
  answer["seconds"] = monotonic_seconds() - started;
  for (const Json& warning : answer["warnings"]) print_warning(warning.get<std::string>());
  return answer;
}

Result<ExitCode> snapshot(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  CaptureOptions how;
  how.name = options.name;
  how.description = options.description;
  how.tags = TRY(parse_tags(options.tags));
  const Json answer = TRY(take_snapshot(globals, *host, TRY(VolumeId::parse(options.volume)), how));
  globals.json ? print_json(answer) : print(answer["snapshot"]["id"].get<std::string>() + "\n");
  return ExitCode::kDone;
}

// A snapshot of now, and a volume of it.
Result<ExitCode> clone(const Globals& globals, const Options& options) {
  const auto host = TRY(open_volume_host(globals));
  const VolumeId id = TRY(VolumeId::parse(options.volume));
  CaptureOptions how;
  how.description = "made to clone " + id.text();
  const Json answer = TRY(take_snapshot(globals, *host, id, how));
  return make(globals, *host,
              {TRY(SnapshotId::parse(answer["snapshot"]["id"].get<std::string>())),
               ByteCount{options.size},
               options.name,
               TRY(parse_tags(options.tags)),
               {}});
}

void on_run(Cli& cli, const Shared& options, Result<ExitCode> (*run)(const Globals&, const Options&)) {
  cli.on_run(Needs::kStore, [options, run](const Globals& globals) { return run(globals, *options); });
}

void add_create(Cli& cli, const Shared& options) {
  Verb verb =
      cli.add_verb("volume create", "Make a volume from a snapshot, usable at once, and print its id",
                   "  ashlar volume create --snapshot snap-01a2b3c4d5e6f7089 --size 100G --name scratch");
  verb.snapshot("--snapshot", options->snapshot, "The snapshot that it starts as");
  verb.size("--size", options->size, "Its size, at least the snapshot's [the snapshot's]");
  verb.text("--name", "TEXT", options->name, "A name");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  on_run(cli, options, create);
}

void add_clone(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb(
      "volume clone", "Make a volume from what another one holds now, and print its id; the snapshot stays",
      "  ashlar volume clone vol-01a2b3c4d5e6f7089 --name try-the-upgrade");
  verb.volume("VOL", options->volume, "The volume to be cloned, served or not");
  verb.size("--size", options->size, "The size of the clone, at least that of the volume [the same]");
  verb.text("--name", "TEXT", options->name, "A name for the clone");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  on_run(cli, options, clone);
}

void add_of_one(Cli& cli, const Shared& options, const char* name, const char* about,
                Result<ExitCode> (*run)(const Globals&, const Options&)) {
  Verb verb = cli.add_verb(std::string("volume ") + name, about,
                           fmt::format("  ashlar volume {} vol-01a2b3c4d5e6f7089", name));
  verb.volume("VOL", options->volume, "The volume");
  on_run(cli, options, run);
}

void add_resize(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb("volume resize", "Make a volume larger; the new space reads as zeros",
                           "  ashlar volume resize vol-01a2b3c4d5e6f7089 --size 200G");
  verb.volume("VOL", options->volume, "The volume");
  verb.size("--size", options->size, "Its new size");
  verb.check([options] { return options->size == 0 ? Status(invalid("--size is required")) : Status(); });
  on_run(cli, options, resize);
}

void add_hydrate(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb("volume hydrate", "Fetch every block that a volume does not hold yet",
                           "  ashlar volume hydrate vol-01a2b3c4d5e6f7089 --rate 100M");
  verb.volume("VOL", options->volume, "The volume");
  verb.size("--rate", options->rate, "Bytes a second at most [no limit]");
  on_run(cli, options, hydrate_volume);
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

}  // namespace

void add_volume(Cli& cli) {
  cli.add_group("volume", "Make, list, change and snapshot volumes: writable disks over snapshots");
  const auto options = std::make_shared<Options>();
  add_create(cli, options);
  cli.add_verb("volume list", "List the volumes of the store, oldest first", "  ashlar volume list");
  cli.on_run(Needs::kStore, list);
  add_of_one(cli, options, "describe", "Show what a volume holds, and what its reads did", describe);
  add_resize(cli, options);
  add_hydrate(cli, options);
  add_snapshot(cli, options);
  add_clone(cli, options);
  add_of_one(cli, options, "detach-store", "End a hydrated volume's need of the store; print its raw file",
             detach);
  add_of_one(cli, options, "delete", "Delete a volume and the blocks that it holds itself", remove);
}

}  // namespace ashlar
