// ashlar snapshots: the table of all snapshots.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "cli.h"
#include "output.h"
#include "record_output.h"
#include "store_option.h"

namespace ashlar {
namespace {

struct Listing {
  std::vector<SnapshotRecord> records;  // oldest first
  std::vector<std::pair<SnapshotId, std::string>> damaged;
};

// A damaged record must not hide the others.
Result<Listing> list(Repo& repo) {
  Listing listing;
  for (const SnapshotId id : TRY(repo.snapshots().list_ids())) {
    auto record = repo.snapshots().get(id);
    if (record.ok()) {
      listing.records.push_back(record.take());
    } else if (record.error().code() == ErrorCode::kNotFound) {
      continue;  // deleted meanwhile
    } else if (record.error().code() == ErrorCode::kCorrupt) {
      listing.damaged.emplace_back(id, record.error().text());
    } else {
      return record.take_error();
    }
  }
  std::ranges::sort(listing.records, {}, [](const SnapshotRecord& r) { return std::pair(r.created, r.id); });
  return listing;
}

void print_listing(const Listing& listing) {
  Table table({"ID", "CREATED", ">SIZE", ">DATA", ">NEW", ">STORED", "NAME"});
  for (const SnapshotRecord& record : listing.records) {
    table.add({record.id.text(), record.created.iso8601(), format_size(record.size.value),
               format_size(byte_count(record.data_blocks).value),
               format_size(byte_count(record.new_blocks).value), format_size(record.new_stored_bytes.value),
               record.name});
  }
  print(table.text());
}

void print_listing_json(const Listing& listing) {
  Json records = Json::array();
  for (const SnapshotRecord& record : listing.records) records.push_back(record_json(record));
  Json damaged = Json::array();
  for (const auto& [id, what] : listing.damaged) damaged.push_back({{"id", id.text()}, {"what", what}});
  print_json({{"snapshots", records}, {"damaged", damaged}});
}

Result<ExitCode> run(const Globals& globals) {
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const Listing listing = TRY(list(*repo));
  globals.json ? print_listing_json(listing) : print_listing(listing);
  for (const auto& [id, what] : listing.damaged) print_warning(what);
  return listing.damaged.empty() ? ExitCode::kDone : ExitCode::kDamaged;
}

}  // namespace

void add_snapshots(Cli& cli) {
  cli.add_verb("snapshots", "List the snapshots of the store, oldest first",
               "  ashlar snapshots\n"
               "  ashlar snapshots --json | jq -r '.snapshots[-1].id'");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
