// ashlar import-disk: a disk in another program's format becomes a snapshot.
#include "base/clock.h"
#include "capture_flow.h"
#include "foreign_disk.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/store_option.h"
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

Result<CaptureOptions> engine_options(Repo& repo, const Source& source, const Options& options) {
  CaptureOptions how;
  how.parent = TRY(newest_of_source(repo, source));
  how.name = options.name;
  how.description = options.description;
  how.tags = TRY(parse_tags(options.tags));
  return how;
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const std::unique_ptr<Repo> repo = TRY(open_store(globals));
  const std::unique_ptr<FileLock> raw_file = TRY(hold_raw_file(*repo, options.file));
  auto file = TRY(HeldFile::open(options.file));
  TRY(stop.watch());
  const auto disk =
      TRY(ForeignDisk::open(std::move(file), TRY(format_of(options)), std::nullopt, stop.token()));
  CaptureOptions how = TRY(engine_options(*repo, disk->source(), options));
  auto report =
      capture_with_progress(globals, "import-disk", *repo, disk->source(), std::move(how), true, stop);
  if (!report.ok()) return disk->explained(report.take_error());
  TRY(print_report(globals, report.value(), monotonic_seconds() - started));
  return ExitCode::kDone;
}

}  // namespace

void add_import_disk(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("import-disk",
                           "Take a disk of another program in as a snapshot and print the snapshot's id",
                           "  ashlar import-disk web.vmdk --name web\n"
                           "  ashlar import-disk jammy-server-cloudimg-amd64.img --format qcow2");
  verb.positional("FILE", "FILE", options->file, "A disk in one file, which nobody writes to");
  verb.text("--format", "raw|qcow2|vmdk|vhd|vhdx", options->format,
            "Its format, which is never guessed from what it holds [what the file's name ends in]");
  verb.text("--name", "TEXT", options->name, "A name for the snapshot");
  verb.text("--description", "TEXT", options->description, "A description");
  verb.texts("--tag", "KEY=VALUE", options->tags, "A tag; may be given more than once");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
