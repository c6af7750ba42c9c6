// ashlar diff: the block ranges in which two snapshots differ.
#include "manifest/diff.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "manifest/store_block_ids.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
#include "restore/restore.h"

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

  void finish(const DiffCounters& counters, const Status& status) {
    if (!json_) {
      if (status.ok()) {
        print_note(fmt::format("{} ranges, {} ({} bytes) differ", count_, format_size(total_), total_));
      }
      return;
    }
    print(fmt::format("\n  ],\n  \"range_count\": {},\n  \"different_bytes\": {},\n  \"nodes_read\": {}",
                      count_, total_, counters.nodes_read));
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
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const SnapshotRecord from = TRY(repo->snapshots().get(TRY(SnapshotId::parse(options.from))));
  const SnapshotRecord to = TRY(repo->snapshots().get(TRY(SnapshotId::parse(options.to))));
  StoreBlockIds ids(*TRY(repo->segments()));
  MetaStore& nodes = *TRY(repo->nodes());
  RangePrinter printer(options, globals.json, std::max(from.size, to.size));
  DiffCounters counters;
  const auto visit = [&printer](BlockRange range) -> Status { return printer.add(range), Status(); };
  Status status = diff_trees(nodes, ids, tree_root(from), tree_root(to), visit, &counters);
  printer.finish(counters, status);
  if (status.ok()) return ExitCode::kDone;
  // The document is closed with its error inside: a second document would not be JSON.
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
