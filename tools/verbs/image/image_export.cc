// ashlar image export: an image as one file, through a pipe, or in an OCI image layout.
#include <fmt/format.h>
#include <unistd.h>

#include "action/image_transfers.h"
#include "base/clock.h"
#include "base/units.h"
#include "document/oci_layout.h"
#include "io/descriptor.h"
#include "program/cli.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "program/terminal_notices.h"
#include "shapes/layout_name.h"

namespace ashlar {
namespace {

struct Options {
  std::string image;
  std::string file;
  std::string format = "bundle";
  std::string since;
};

Result<ExportImage> request_of(const Options& options) {
  ExportImage request;
  request.image = TRY(ImageId::parse(options.image));
  if (!options.since.empty()) request.since = TRY(ImageId::parse(options.since).with_context("--since"));
  return request;
}

Json export_json(const Options& options, const ExportReport& report, double seconds) {
  return {{"ImageId", options.image},    {"file", options.file},  {"bytes", report.bytes},
          {"segments", report.segments}, {"nodes", report.nodes}, {"seconds", seconds}};
}

void print_bundle(const Globals& globals, const Options& options, const ExportReport& report,
                  double seconds) {
  if (globals.json && options.file != "-") {
    print_json(export_json(options, report, seconds));
  } else {
    print_note(fmt::format("{} written in {}", format_size(report.bytes), duration_text(seconds)));
  }
}

void print_layout(const Globals& globals, const Options& options, const ExportedLayout& done,
                  double seconds) {
  const ExportReport& report = done.exported.report;
  const std::string digest = oci_digest_text(done.manifest);
  if (globals.json) {
    Json json = export_json(options, report, seconds);
    json["digest"] = digest;
    json["parts"] = done.parts;
    print_json(json);
    return;
  }
  print(digest + "\n");
  print_note(fmt::format("{} written as {} in {}", format_size(report.bytes), count_text(done.parts, "part"),
                         duration_text(seconds)));
}

Result<ExportedImage> write_bundle(Repo& repo, const Caller& caller, const Options& options) {
  const ExportImage request = TRY(request_of(options));
  if (options.file != "-") return export_image_file(repo, caller, request, options.file);
  const auto write = [](ByteSpan bytes) { return write_all(STDOUT_FILENO, bytes, "standard output"); };
  return export_image(repo, caller, request, BundleOutput{write});
}

Result<ExitCode> run(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const bool is_layout = options.format == "oci";
  if (!is_layout && options.file == "-" && ::isatty(STDOUT_FILENO) != 0)
    return invalid("a bundle is not written to a terminal: redirect standard output or name a file");
  const auto repo = TRY(open_store(globals));
  TerminalNotices notices(globals);
  const Caller caller = TRY(caller_of(globals, *repo, notices, stop.token()));
  TRY(stop.watch());
  if (is_layout) {
    const LayoutPlace place = TRY(parse_layout_name(options.file));
    const ExportedLayout done = TRY(export_image_layout(*repo, caller, TRY(request_of(options)), place));
    print_layout(globals, options, done, monotonic_seconds() - started);
  } else {
    const ExportedImage done = TRY(write_bundle(*repo, caller, options));
    print_bundle(globals, options, done.report, monotonic_seconds() - started);
  }
  return ExitCode::kDone;
}

Status check(const Options& options) {
  TRY(check_image_format(options.format));
  TRY(request_of(options));
  if (options.format != "oci") return {};
  const LayoutPlace place = TRY(parse_layout_name(options.file));
  return place.directory == options.file ? Status() : check_oci_tag(place.tag);
}

}  // namespace

void add_image_export(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb verb = cli.add_verb(
      "image export", "Write an image with all that it needs into one file, a pipe, or an OCI image layout",
      "  ashlar image export ami-01a2b3c4d5e6f7089 web-1.5.ashlar\n"
      "  # only what the other side lacks, when it has the version before\n"
      "  ashlar image export ami-01a2b3c4d5e6f7089 - --since ami-09f8e7d6c5b4a3021 | ssh host "
      "ashlar --store /backup/store image import -\n"
      "  # for a registry\n"
      "  ashlar image export ami-01a2b3c4d5e6f7089 web:1.5 --format oci\n"
      "  skopeo copy oci:web:1.5 docker://registry.example/web:1.5");
  verb.image("IMAGE", options->image, "The image");
  verb.positional("FILE", "FILE", options->file,
                  "A new file, or - for standard output; with --format oci DIRECTORY:TAG, a new layout or "
                  "an existing one [the tag is the image's id]");
  verb.text("--format", "FORMAT", options->format, "bundle, or oci for an OCI image layout [bundle]");
  verb.text("--since", "IMAGE", options->since, "Leave out what this image holds too");
  verb.check([options] { return check(*options); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run(globals, *options); });
}

}  // namespace ashlar
