// ashlar image import: takes in what image export wrote.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "action/image_transfers.h"
#include "base/clock.h"
#include "base/units.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/layout_name.h"
#include "shapes/transfer_output.h"

namespace ashlar {
namespace {

struct Options {
  std::string file;
  std::string format = "bundle";
  std::string name;
  bool keep_tags = false;
  bool drop_deprecation = false;
};

Result<ImageCopyReport> import_from(Repo& repo, const Caller& caller, const Options& options) {
  const NewCopy copy{options.name, options.keep_tags, !options.drop_deprecation};
  if (options.format == "oci")
    return import_image_layout(repo, caller, copy, TRY(parse_layout_name(options.file)));
  if (options.file == "-")
    return import_image(repo, caller, copy, bundle_from(STDIN_FILENO, "standard input"));
  std::error_code unknown;
  if (std::filesystem::is_directory(options.file, unknown))
    return invalid(options.file + " is a directory: a layout needs --format oci");
  return import_image_file(repo, caller, copy, options.file);
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, stop.token()));
  TRY(stop.watch());
  const ImageCopyReport report = TRY(import_from(*repo, caller, options));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    print_json(transfer_json(report, seconds));
    return ExitCode::kDone;
  }
  print(report.image.id.text() + "\n");
  print_note(fmt::format("{} of segments were new, in {}", format_size(report.copy.segment_bytes_sent),
                         duration_text(seconds)));
  return ExitCode::kDone;
}

Status check(const Options& options) {
  TRY(check_image_format(options.format));
  if (options.format == "oci") TRY(parse_layout_name(options.file));
  return options.name.empty() ? Status() : check_image_name(options.name);
}

}  // namespace

void add_image_import(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb("image import",
                           "Import an image from a file, a pipe or an OCI image layout, and print its new id",
                           "  ashlar image import web-1.5.ashlar --name web-1.5\n"
                           "  # from a registry\n"
                           "  skopeo copy docker://registry.example/web:1.5 oci:web:1.5\n"
                           "  ashlar image import web:1.5 --format oci");
  verb.positional("FILE", "FILE", options->file,
                  "A file that 'image export' wrote, or - for standard input; with --format oci "
                  "DIRECTORY:TAG [the tag of the only image]");
  verb.text("--format", "FORMAT", options->format, "bundle, or oci for an OCI image layout [bundle]");
  verb.text("--name", "TEXT", options->name, "The name of the new image [the original's]");
  verb.flag("--copy-tags", options->keep_tags, "Keep its tags");
  verb.flag("--no-deprecation", options->drop_deprecation, "Do not keep its time of deprecation");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
