// ashlar snapshots: the table of all snapshots.
#include "action/snapshots.h"

#include <fmt/format.h>

#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "shapes/record_output.h"
#include "shapes/snapshot_list.h"

namespace ashlar {
namespace {

void print_listing(const SnapshotList& listing) {
  Table table({"ID", "CREATED", ">SIZE", ">DATA", ">NEW", ">STORED", "NAME"});
  for (const SnapshotRecord& record : listing.records) {
    table.add({record.id.text(), record.created.iso8601(), format_size(record.size.value),
               format_size(byte_count(record.data_blocks).value),
               format_size(byte_count(record.new_blocks).value), format_size(record.new_stored_bytes.value),
               record.name});
  }
  print(table.text());
}

void print_listing_json(const SnapshotList& listing) {
  Json records = Json::array();
  for (const SnapshotRecord& record : listing.records) records.push_back(record_json(record));
  print_json({{"snapshots", records}, {"unread", unread_json(listing)}});
}

Result<ExitCode> run(const Globals& globals) {
  const OpenStore store = TRY(open_for_actions(globals));
  const SnapshotList listing = TRY(describe_snapshots(*store.repo, store.caller));
  globals.json ? print_listing_json(listing) : print_listing(listing);
  for (const UnreadSnapshot& one : listing.unread) print_warning(one.why.text());
  return exit_code_of(listing);
}

}  // namespace

void add_snapshots(Cli& cli) {
  cli.add_verb("snapshots", "List the snapshots of the store, oldest first",
               "  ashlar snapshots\n"
               "  ashlar snapshots --json | jq -r '.snapshots[-1].id'");
  cli.on_run(Needs::kStore, run);
}

}  // namespace ashlar
