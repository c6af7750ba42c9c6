// ashlar import-disk: a disk in another program's format becomes a snapshot.
#include "action/disks.h"
#include "base/clock.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/record_output.h"
#include "shapes/tag_words.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string format;
  std::string name;
  std::string description;
  std::vector<std::string> tags;
};

Result<DiskFormat> format_of(const Options& options) {
  if (options.format.empty()) return disk_format_of_name(options.file);
  return parse_disk_format(options.format).with_context("--format");
}

Status check(const Options& options) {
  TRY(parse_tags(options.tags));
  TRY(format_of(options));
  return {};
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const OpenStore store = TRY(open_for_actions(globals, stop.token()));
  TRY(stop.watch());
  const ImportDisk request = {options.file, TRY(format_of(options)), options.name, options.description,
                              TRY(parse_tags(options.tags))};
  const CaptureReport report = TRY(import_disk(*store.repo, store.caller, request));
  TRY(print_captured(globals, report, monotonic_seconds() - started));
  return ExitCode::kDone;
}

}  // namespace

void add_import_disk(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb =
      cli.add_verb("import-disk", "Import a qcow2, vmdk, vhd(x) or raw disk as a snapshot and print its id",
                   "  ashlar import-disk web.vmdk --name web\n"
                   "  ashlar import-disk jammy-server-cloudimg-amd64.img --format qcow2");
  verb.positional("FILE", "FILE", options->file, "A disk in one file that no program writes to");
  verb.text("--format", "raw|qcow2|vmdk|vhd|vhdx", options->format,
            "Its format, which is never guessed from what it holds [what the file's name ends in]");
  verb.text("--name", "TEXT", options->name, "A name for the snapshot");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
