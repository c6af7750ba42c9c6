// ashlar bin …: what was deleted, and bringing it back.
#include "catalog/bin.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "catalog/settings.h"
#include "image/deletion.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kDay = std::uint64_t{24} * 3600 * 1'000'000'000;

struct Options {
  std::string id;
  bool all = false;
};

struct Entry {
  std::string id;
  UtcTime deleted;
  std::string name;
};

// A record that can't be read is shown by its id.
Result<std::vector<Entry>> entries_of(ImageStore& store) {
  std::vector<Entry> entries;
  const SnapshotBin bin(store.repo().objects());
  for (const BinEntry& entry : TRY(bin.list())) {
    const auto record = bin.get(entry);
    entries.push_back({entry.snapshot.text(), entry.deleted, record.ok() ? record.value().name : ""});
  }
  for (const ImageId id : TRY(store.catalog().list_ids())) {
    const auto record = store.catalog().get(id);
    if (record.ok() && record.value().state == ImageState::kDeregistered &&
        record.value().owner == store.account())
      entries.push_back({id.text(), *record.value().deregistered, record.value().name});
  }
  std::ranges::stable_sort(entries, {}, &Entry::deleted);
  return entries;
}

Result<ExitCode> list(const Globals& globals) {
  ImageStore store = TRY(ImageStore::open(globals));
  const std::vector<Entry> entries = TRY(entries_of(store));
  if (globals.json) {
    Json all = Json::array();
    for (const Entry& entry : entries)
      all.push_back({{"id", entry.id}, {"deleted", entry.deleted.iso8601()}, {"name", entry.name}});
    print_json({{"bin", all}});
    return ExitCode::kDone;
  }
  Table table({"ID", "DELETED", "NAME"});
  for (const Entry& entry : entries) table.add({entry.id, entry.deleted.iso8601(), entry.name});
  print(table.text());
  return ExitCode::kDone;
}

Result<ExitCode> restore(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const auto image = ImageId::parse(options.id);
  if (image.ok()) {
    TRY(store.find_own(image.value(), true));
    TRY(restore_image(store.repo().objects(), image.value()));
  } else {
    TRY(restore_snapshot(store.repo().objects(), TRY(SnapshotId::parse(options.id))));
  }
  if (globals.json) print_json({{"restored", options.id}});
  return ExitCode::kDone;
}

Result<ExitCode> purge(const Globals& globals, const Options& options) {
  ImageStore store = TRY(ImageStore::open(globals));
  const std::uint64_t now = UtcTime::now().unix_ns;
  const std::uint64_t days = options.all ? 0 : TRY(get_settings(store.repo().objects())).bin_days;
  const UtcTime until{now - std::min(now, days * kDay)};
  const Purged purged = TRY(purge_bin(store.repo().objects(), until));
  std::vector<std::string> ids;
  for (const SnapshotId id : purged.snapshots) ids.push_back(id.text());
  for (const ImageId id : purged.images) ids.push_back(id.text());
  if (globals.json) {
    print_json({{"purged", ids}});
  } else {
    for (const std::string& id : ids) print(id + "\n");
  }
  return ExitCode::kDone;
}

}  // namespace

void add_bin(Cli& cli) {
  cli.add_group("bin", "List, restore and purge what was deleted: snapshots and deregistered images");
  const auto options = std::make_shared<Options>();
  cli.add_verb("bin list", "List what lies in the recycle bin, the oldest deletion first",
               "  ashlar bin list");
  cli.on_run(Needs::kStore, list);
  Verb restoring = cli.add_verb("bin restore", "Bring a deleted snapshot or a deregistered image back",
                                "  ashlar bin restore snap-01a2b3c4d5e6f7089");
  restoring.positional("ID", "SNAP|IMAGE", options->id, "What to bring back");
  restoring.check([options] {
    if (ImageId::parse(options->id).ok() || SnapshotId::parse(options->id).ok()) return Status();
    return Status(invalid(fmt::format("'{}' is the id of neither a snapshot nor an image", options->id)));
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return restore(globals, *options); });
  Verb purging = cli.add_verb(
      "bin purge", "Forget for good what was in the bin for as long as the settings say, and print its ids",
      "  ashlar bin purge");
  purging.flag("--all", options->all, "Everything in the bin, however short a time it was there");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return purge(globals, *options); });
}

}  // namespace ashlar
