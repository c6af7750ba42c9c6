// ashlar diff: the block ranges in which two snapshots differ.
#include <fmt/format.h>

#include <algorithm>

#include "action/snapshots.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"

namespace ashlar {
namespace {

struct Options {
  std::string from;
  std::string to;
};

// Prints ranges as they are found: there may be more of them than fit into memory.
class RangePrinter {
 public:
  RangePrinter(const Options& options, bool json, ByteCount size) : json_(json), size_(size) {
    if (json_)
      print(fmt::format("{{\n  \"from\": \"{}\",\n  \"to\": \"{}\",\n  \"ranges\": [", options.from,
                        options.to));
  }

  void add(BlockRange range) {
    const ByteRange bytes = byte_range(range, size_);
    if (json_) {
      print(fmt::format("{}\n    {{\"offset\": {}, \"length\": {}}}", count_ == 0 ? "" : ",", bytes.offset,
                        bytes.length));
    } else {
      print(fmt::format("{:<16} {:<12} {}\n", bytes.offset, bytes.length, format_size(bytes.length)));
    }
    ++count_;
    total_ += bytes.length;
  }

  void finish(std::uint64_t nodes_read, const Status& status) {
    if (!json_) {
      if (status.ok()) {
        print_note(count_ == 0 ? "the snapshots do not differ"
                               : fmt::format("{}, {} ({}) in all, differ", count_text(count_, "range"),
                                             format_size(total_), count_text(total_, "byte")));
      }
      return;
    }
    print(fmt::format("\n  ],\n  \"range_count\": {},\n  \"different_bytes\": {},\n  \"nodes_read\": {}",
                      count_, total_, nodes_read));
    if (!status.ok()) {
      const Error& error = status.error();
      print(",\n  \"error\": " + error_json(error).dump());
    }
    print("\n}\n");
  }

 private:
  bool json_;
  ByteCount size_;
  std::uint64_t count_ = 0;
  std::uint64_t total_ = 0;
};

Result<ExitCode> run(const Globals& globals, const Options& options) {
  const OpenStore store = TRY(open_for_actions(globals));
  Repo& repo = *store.repo;
  const SnapshotRecord from =
      TRY(describe_snapshot(repo, store.caller, TRY(SnapshotId::parse(options.from))));
  const SnapshotRecord to = TRY(describe_snapshot(repo, store.caller, TRY(SnapshotId::parse(options.to))));
  TRY(repo.index());  // before anything is printed
  RangePrinter printer(options, globals.json, std::max(from.size, to.size));
  std::uint64_t nodes_read = 0;
  const auto visit = [&printer](BlockRange range) -> Status { return printer.add(range), Status(); };
  const Status status = list_changed_blocks(repo, store.caller, from.id, to.id, visit, nodes_read);
  printer.finish(nodes_read, status);
  if (status.ok()) return ExitCode::kDone;
  // The document is closed with its error inside; a second one would not be JSON any more.
  print_error(status.error(), false);
  return exit_code_of(status.error());
}

}  // namespace

void add_diff(Cli& cli) {
  auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("diff", "List the byte ranges in which two snapshots differ: offset, length, size",
                           "  ashlar diff snap-01a2b3c4d5e6f7089 snap-09f8e7d6c5b4a3021\n"
                           "  ashlar diff snap-01a2b3c4d5e6f7089 snap-09f8e7d6c5b4a3021 --json");
  verb.snapshot("FROM", options->from, "One snapshot");
  verb.snapshot("TO", options->to, "Another, related to it or not");
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
