// ashlar volume create, list, describe, resize, delete: writable disks over snapshots.
#include "action/volumes.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/host_option.h"
#include "program/output.h"
#include "shapes/tag_words.h"
#include "shapes/unread.h"
#include "shapes/volume_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string volume;
  std::string snapshot;
  std::uint64_t size = 0;
  std::string name;
  std::vector<std::string> tags;
  bool force = false;
};
using Shared = std::shared_ptr<Options>;

Result<VolumeId> volume_of(const Options& options) { return VolumeId::parse(options.volume); }

ExitCode print_made(const Globals& globals, const VolumeRecord& record) {
  globals.json ? print_json({{"volume", volume_json(record)}}) : print(record.id.text() + "\n");
  return ExitCode::kDone;
}

Result<ExitCode> create(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  CreateVolumeRequest request;
  request.snapshot = TRY(SnapshotId::parse(options.snapshot));
  request.size = ByteCount{options.size};
  request.name = options.name;
  request.tags = TRY(parse_tags(options.tags));
  return print_made(globals, TRY(create_volume(*open.host, open.caller, request)));
}

Result<ExitCode> list(const Globals& globals) {
  TerminalNotices notices(globals);
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const auto [records, unread] = TRY(describe_volumes(*repo, TRY(caller_of(globals, *repo, notices, {}))));
  const ExitCode code = name_unread(unread);
  if (globals.json) {
    Json volumes = Json::array();
    for (const VolumeRecord& record : records) volumes.push_back(volume_json(record));
    print_json({{"volumes", volumes}});
    return code;
  }
  Table table({"ID", "CREATED", ">SIZE", "SNAPSHOT", "NAME"});
  for (const VolumeRecord& record : records) {
    table.add({record.id.text(), record.created.iso8601(), format_size(record.size.value),
               record.is_detached ? "detached" : record.base.text(), record.name});
  }
  print(table.text());
  return code;
}

Result<ExitCode> describe(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  const auto [record, state] = TRY(describe_volume(*open.host, open.caller, TRY(volume_of(options))));
  globals.json ? print_json({{"volume", volume_json(record)}, {"state", volume_state_json(state)}})
               : print(volume_text(record, state));
  return ExitCode::kDone;
}

Result<ExitCode> resize(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  const VolumeRecord record =
      TRY(resize_volume(*open.host, open.caller, TRY(volume_of(options)), ByteCount{options.size}));
  if (globals.json) print_json({{"volume", volume_json(record)}});
  return ExitCode::kDone;
}

Result<ExitCode> remove(const Globals& globals, const Options& options) {
  const OpenHost open = TRY(open_host(globals));
  const VolumeId id = TRY(volume_of(options));
  const auto elsewhere = options.force ? BlocksElsewhere::kGiveUp : BlocksElsewhere::kRefuse;
  TRY(delete_volume(*open.host, open.caller, id, elsewhere));
  if (globals.json) print_json({{"deleted", id.text()}});
  return ExitCode::kDone;
}

void on_run(Cli& cli, const Shared& options, Result<ExitCode> (*run)(const Globals&, const Options&)) {
  cli.on_run(Needs::kStore, [options, run](const Globals& globals) { return run(globals, *options); });
}

void add_create(Cli& cli, const Shared& options) {
  Verb verb =
      cli.add_verb("volume create", "Make a volume from a snapshot, usable at once, and print its id",
                   "  ashlar volume create --snapshot snap-01a2b3c4d5e6f7089 --size 100G --name scratch");
  verb.snapshot("--snapshot", options->snapshot, "The snapshot that it starts as");
  verb.size("--size", options->size, "Its size, at least the snapshot's [the snapshot's]", 1);
  verb.text("--name", "TEXT", options->name, "A name");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  on_run(cli, options, create);
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
  verb.size("--size", options->size, "Its new size", 1);
  verb.check([options] { return options->size == 0 ? Status(invalid("--size is required")) : Status(); });
  on_run(cli, options, resize);
}

void add_delete(Cli& cli, const Shared& options) {
  Verb verb = cli.add_verb("volume delete", "Delete a volume and the blocks that it holds itself",
                           "  ashlar volume delete vol-01a2b3c4d5e6f7089");
  verb.volume("VOL", options->volume, "The volume");
  verb.flag("--force", options->force,
            "Delete it although its blocks are not on this host: they are given up, wherever they are");
  on_run(cli, options, remove);
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
  add_volume_data(cli);
  add_delete(cli, options);
}

}  // namespace ashlar
