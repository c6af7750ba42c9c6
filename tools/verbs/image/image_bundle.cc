// ashlar image export and image import: an image as one file, through a pipe, or in an OCI image layout.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "catalog/settings.h"
#include "image/contents.h"
#include "image/signing.h"
#include "program/cli.h"
#include "program/image_store.h"
#include "program/output.h"
#include "program/stop.h"
#include "program/store_option.h"
#include "shapes/transfer_output.h"
#include "transfer/bundle_reader.h"
#include "transfer/bundle_writer.h"
#include "transfer/layout_reader.h"
#include "transfer/layout_writer.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kScratchBytes = std::uint64_t{1} << 40U;  // sparse

struct Options {
  std::string image;
  std::string file;
  std::string format = "bundle";
  std::string since;
  std::string name;
  bool keep_tags = false;
  bool drop_deprecation = false;
};

Status check_format(const std::string& format) {
  if (format == "bundle" || format == "oci") return {};
  return invalid("--format is bundle or oci");
}

// "DIRECTORY:TAG", as skopeo writes it behind "oci:".
struct LayoutName {
  std::string directory;
  std::string tag;  // may be empty

  explicit LayoutName(const std::string& text) : directory(text.substr(0, text.find(':'))) {
    if (directory.size() < text.size()) tag = text.substr(directory.size() + 1);
  }
};

Status check_layout_name(const std::string& text) {
  const LayoutName name(text);
  if (name.directory.empty() || name.directory == "-")
    return invalid("an OCI layout is named as DIRECTORY:TAG");
  return {};
}

Status write_all(int fd, const std::string& name, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_errno(name);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::size_t> read_all(int fd, const std::string& name, MutableByteSpan out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got = ::read(fd, out.data() + filled, out.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EISDIR) return invalid(name + " is a directory: a layout needs --format oci");
    if (got < 0) return last_errno(name);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

// Whom it is shared with, and what names its source, stay at home.
ImageRecord exported(ImageRecord image) {
  image.is_public = false;
  image.shared_with.clear();
  image.state_reason.clear();
  image.source_instance = {};
  return image;
}

std::vector<SnapshotRecord> exported(std::vector<SnapshotRecord> snapshots) {
  for (SnapshotRecord& record : snapshots) {
    record.parent = {};
    record.generation = 0;
    record.source_identity = {};
    record.change_token.clear();
    record.tags.clear();
  }
  return snapshots;
}

struct Exported {
  ImageRecord image;
  ImageId since;
  ExportReport report;
};

Result<Exported> write_image(const Globals& globals, ImageStore& store, const Options& options,
                             const BundleOutput& output, const Stop& stop) {
  const ImageRecord image = TRY(store.find(TRY(ImageId::parse(options.image))));
  if (image.state != ImageState::kAvailable)
    return invalid(fmt::format("{} is {}, not available", options.image, image_state_name(image.state)));
  Repo& repo = store.repo();
  BundleHeader header{repo.config().id, image.id, {}};
  std::vector<SnapshotRecord> since;
  if (!options.since.empty()) {
    const ImageRecord base = TRY(store.find(TRY(ImageId::parse(options.since))));
    header.since = base.id;
    since = TRY(records_of(base, repo.snapshots()));
  }
  const ReadParts source = TRY(repo.read_parts());
  CopyProgress progress;
  const ProgressDisplay display(globals, "image export", [&progress] { return sample_of(progress); });
  const ExportReport report =
      TRY(write_bundle(source, header, exported(image), exported(TRY(records_of(image, repo.snapshots()))),
                       since, output, progress, stop.token()));
  return Exported{image, header.since, report};
}

Result<ExportReport> write_stream(const Globals& globals, ImageStore& store, const Options& options, int fd,
                                  const Stop& stop) {
  const BundleOutput output{[&](ByteSpan bytes) { return write_all(fd, options.file, bytes); }};
  return TRY(write_image(globals, store, options, output, stop)).report;
}

Result<ExportReport> write_file(const Globals& globals, ImageStore& store, const Options& options,
                                const Stop& stop) {
  const UniqueFd fd(::open(options.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd.valid() && errno == EEXIST) return invalid(options.file + " exists already: name a new file");
  if (!fd.valid()) return last_errno(options.file);
  auto report = write_stream(globals, store, options, fd.get(), stop);
  if (report.ok() && ::fsync(fd.get()) != 0) report = last_errno(options.file);
  if (!report.ok()) ::unlink(options.file.c_str());
  return report;
}

Json export_json(const Options& options, const ExportReport& report, double seconds) {
  return {{"ImageId", options.image},    {"file", options.file},  {"bytes", report.bytes},
          {"segments", report.segments}, {"nodes", report.nodes}, {"seconds", seconds}};
}

Result<ExitCode> export_bundle(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const bool to_pipe = options.file == "-";
  if (to_pipe && ::isatty(STDOUT_FILENO) != 0)
    return invalid("a bundle is not written to a terminal: redirect standard output or name a file");
  ImageStore store = TRY(ImageStore::open(globals));
  if (!to_pipe) TRY(check_outside_store(options.file, store.repo().address().directory));
  TRY(stop.watch());
  const ExportReport report = TRY(to_pipe ? write_stream(globals, store, options, STDOUT_FILENO, stop)
                                          : write_file(globals, store, options, stop));
  const double seconds = monotonic_seconds() - started;
  if (globals.json && !to_pipe) {
    print_json(export_json(options, report, seconds));
  } else {
    print_note(fmt::format("{} written in {}", format_size(report.bytes), duration_text(seconds)));
  }
  return ExitCode::kDone;
}

Result<ExitCode> export_layout(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const LayoutName name(options.file);
  ImageStore store = TRY(ImageStore::open(globals));
  TRY(store.find(TRY(ImageId::parse(options.image))));  // before there is a directory
  TRY(check_outside_store(name.directory, store.repo().address().directory));
  TRY(stop.watch());
  const auto writer = TRY(OciLayoutWriter::begin(posix_file_system(), name.directory,
                                                 name.tag.empty() ? options.image : name.tag));
  const BundleOutput output{[&](ByteSpan bytes) { return writer->append(bytes); },
                            [&] { return writer->cut(); }};
  const Exported done = TRY(write_image(globals, store, options, output, stop));
  const OciBlob manifest =
      TRY(writer->finish({{}, done.image.name, done.image.created, done.image.id, done.since}));
  const double seconds = monotonic_seconds() - started;
  if (globals.json) {
    Json json = export_json(options, done.report, seconds);
    json["digest"] = oci_digest_text(manifest.digest);
    json["parts"] = writer->parts();
    print_json(json);
    return ExitCode::kDone;
  }
  print(oci_digest_text(manifest.digest) + "\n");
  print_note(fmt::format("{} written in {} parts, in {}", format_size(done.report.bytes), writer->parts(),
                         duration_text(seconds)));
  return ExitCode::kDone;
}

// Gone from the directory at once: nobody else finds it, and it is no more when this process is.
Result<std::unique_ptr<RandomFile>> make_scratch(HostDirectory& host) {
  FileSystem& files = posix_file_system();
  TRY(host.make_folder(host.scratch()));
  const std::string path = fmt::format("{}/import-{:016x}", host.scratch(), random_u64());
  auto scratch = TRY(files.create_random(path, kScratchBytes));
  TRY(files.remove(path));
  return scratch;
}

Result<ImageCopyReport> read_image(const Globals& globals, ImageStore& store, const Options& options,
                                   const ReadBytes& read, const Stop& stop) {
  Repo& repo = store.repo();
  const StoreSettings settings = TRY(get_settings(repo.objects()));
  const auto scratch = TRY(make_scratch(repo.host()));
  const WriteParts target = TRY(repo.write_parts());
  const ImportParts parts{target, *TRY(repo.nodes()), *scratch};
  const auto accept = [&](const ImageRecord& image) -> Status {
    if (const auto warning = TRY(check_trust(image, settings))) print_warning(*warning);
    return {};
  };
  const ImageCopyOptions how = {options.name, store.account(), options.keep_tags, !options.drop_deprecation};
  CopyProgress progress;
  const ProgressDisplay display(globals, "image import", [&progress] { return sample_of(progress); });
  return import_image(parts, read, accept, how, progress, stop.token());
}

Result<ReadBytes> open_bundle(const Options& options) {
  const auto file = std::make_shared<UniqueFd>();
  if (options.file != "-") {
    file->reset(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file->valid()) return last_errno(options.file);
  }
  return ReadBytes([file, name = options.file](MutableByteSpan out) {
    return read_all(file->valid() ? file->get() : STDIN_FILENO, name, out);
  });
}

Result<ReadBytes> open_layout(const Options& options) {
  const LayoutName name(options.file);
  const auto reader = std::make_shared<OciLayoutReader>(
      TRY(OciLayoutReader::open(name.directory, name.tag).with_context(options.file)));
  return ReadBytes([reader](MutableByteSpan out) { return reader->read(out); });
}

Result<ExitCode> run_import(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const ReadBytes read = TRY(options.format == "oci" ? open_layout(options) : open_bundle(options));
  ImageStore store = TRY(ImageStore::open(globals));
  TRY(stop.watch());
  const ImageCopyReport report = TRY(read_image(globals, store, options, read, stop));
  const double seconds = monotonic_seconds() - started;
  if (!globals.json) {
    print(report.image.id.text() + "\n");
    print_note(fmt::format("{} of segments were new, in {}", format_size(report.copy.segment_bytes_sent),
                           duration_text(seconds)));
    return ExitCode::kDone;
  }
  print_json(transfer_json(report, seconds));
  return ExitCode::kDone;
}

}  // namespace

void add_image_bundle(Cli& cli) {
  const auto options = std::make_shared<Options>();
  Verb writing = cli.add_verb(
      "image export", "Write an image with all that it needs into one file, a pipe, or an OCI image layout",
      "  ashlar image export ami-01a2b3c4d5e6f7089 web-1.5.ashlar\n"
      "  # only what the other side lacks, when it has the version before\n"
      "  ashlar image export ami-01a2b3c4d5e6f7089 - --since ami-09f8e7d6c5b4a3021 | ssh host "
      "ashlar --store /backup/store image import -\n"
      "  # for a registry\n"
      "  ashlar image export ami-01a2b3c4d5e6f7089 web:1.5 --format oci\n"
      "  skopeo copy oci:web:1.5 docker://registry.example/web:1.5");
  writing.image("IMAGE", options->image, "The image");
  writing.positional("FILE", "FILE", options->file,
                     "A new file, or - for standard output; with --format oci DIRECTORY:TAG, a new layout or "
                     "one that is there [the tag is the image's id]");
  writing.text("--format", "FORMAT", options->format, "bundle, or oci for an OCI image layout [bundle]");
  writing.text("--since", "IMAGE", options->since, "Leave out what this image holds too");
  writing.check([options]() -> Status {
    TRY(check_format(options->format));
    if (!options->since.empty()) TRY(ImageId::parse(options->since).with_context("--since"));
    if (options->format != "oci") return {};
    TRY(check_layout_name(options->file));
    const LayoutName name(options->file);
    return name.directory == options->file ? Status() : check_oci_tag(name.tag);
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) {
    return options->format == "oci" ? export_layout(globals, *options) : export_bundle(globals, *options);
  });
  Verb reading = cli.add_verb(
      "image import", "Take an image in from a file, a pipe or an OCI image layout, and print its new id",
      "  ashlar image import web-1.5.ashlar --name web-1.5\n"
      "  # from a registry\n"
      "  skopeo copy docker://registry.example/web:1.5 oci:web:1.5\n"
      "  ashlar image import web:1.5 --format oci");
  reading.positional("FILE", "FILE", options->file,
                     "What 'image export' wrote, or - for standard input; with --format oci DIRECTORY:TAG "
                     "[the tag of the only image]");
  reading.text("--format", "FORMAT", options->format, "bundle, or oci for an OCI image layout [bundle]");
  reading.text("--name", "TEXT", options->name, "Its name here [the same]");
  reading.flag("--copy-tags", options->keep_tags, "Keep its tags");
  reading.flag("--no-deprecation", options->drop_deprecation, "Forget its time of deprecation");
  reading.check([options]() -> Status {
    TRY(check_format(options->format));
    if (options->format == "oci") TRY(check_layout_name(options->file));
    return options->name.empty() ? Status() : check_image_name(options->name);
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run_import(globals, *options); });
}

}  // namespace ashlar
