// ashlar bin …: what was deleted, and bringing it back.
#include "action/bin.h"

#include <fmt/format.h>

#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/unread.h"

namespace ashlar {
namespace {

struct Options {
  std::string id;
  bool all = false;
  bool clock_is_right = false;
};

Result<ExitCode> list(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  Json all = Json::array();
  Table table({"ID", "DELETED", "NAME"});
  const BinList listing = TRY(describe_bin(*store.repo, store.caller));
  for (const DeletedThing& thing : listing.things) {
    all.push_back({{"id", thing.id_text()}, {"deleted", thing.deleted.iso8601()}, {"name", thing.name}});
    table.add({thing.id_text(), thing.deleted.iso8601(), thing.name});
  }
  globals.json ? print_json({{"bin", all}}) : print(table.text());
  return name_unread(listing.unread);
}

Result<ExitCode> restore(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const auto image = ImageId::parse(options.id);
  if (image.ok()) {
    TRY(restore_image_from_bin(*store.repo, store.caller, image.value()));
  } else {
    TRY(restore_snapshot_from_bin(*store.repo, store.caller, TRY(SnapshotId::parse(options.id))));
  }
  if (globals.json) print_json({{"restored", options.id}});
  return ExitCode::kDone;
}

Result<ExitCode> purge(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  const PurgeAge age = options.all ? PurgeAge::kAny : PurgeAge::kAsSet;
  const PurgeClock clock = options.clock_is_right ? PurgeClock::kIsRight : PurgeClock::kCheck;
  const Purged purged = TRY(purge_bin(*store.repo, store.caller, age, clock));
  std::vector<std::string> ids;
  for (const SnapshotId id : purged.snapshots) ids.push_back(id.text());
  for (const ImageId id : purged.images) ids.push_back(id.text());
  if (globals.json) {
    print_json({{"purged", ids}});
    return name_unread(purged.unread);
  }
  for (const std::string& id : ids) print(id + "\n");
  if (ids.empty())
    print_note(options.all ? "the bin is empty: nothing was purged"
                           : "nothing was in the bin for long enough: nothing was purged");
  return name_unread(purged.unread);
}

}  // namespace

void add_bin(Cli& cli) {
  cli.add_group("bin", "List, restore and purge what was deleted: snapshots and deregistered images");
  const auto options = std::make_shared<Options>();
  cli.add_verb("bin list", "List the recycle bin, the oldest deletion first", "  ashlar bin list");
  cli.on_run(Needs::kStore, list);
  Verb restoring = cli.add_verb("bin restore", "Restore a deleted snapshot or a deregistered image",
                                "  ashlar bin restore snap-01a2b3c4d5e6f7089");
  restoring.positional("ID", "SNAP|IMAGE", options->id, "The snapshot or image");
  restoring.check([options] {
    if (ImageId::parse(options->id).ok() || SnapshotId::parse(options->id).ok()) return Status();
    return Status(invalid(fmt::format("'{}' is the id of neither a snapshot nor an image", options->id)));
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return restore(globals, *options); });
  Verb purging = cli.add_verb(
      "bin purge", "Delete for good what was in the bin for as long as the settings say, and print its ids",
      "  ashlar bin purge");
  purging.flag("--all", options->all, "Purge everything in the bin, whatever its age");
  purging.flag("--clock-is-right", options->clock_is_right,
               "Purge by the clock even if it is not synchronised, or seems to have jumped ahead");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return purge(globals, *options); });
}

}  // namespace ashlar
