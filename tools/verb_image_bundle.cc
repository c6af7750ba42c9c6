// ashlar image export and image import: an image as one file, or through a pipe.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "base/units.h"
#include "catalog/settings.h"
#include "cli.h"
#include "image/signing.h"
#include "image_store.h"
#include "output.h"
#include "stop.h"
#include "transfer/bundle_reader.h"
#include "transfer/bundle_writer.h"
#include "transfer_output.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kScratchBytes = std::uint64_t{1} << 40U;  // sparse

struct Options {
  std::string image;
  std::string file;
  std::string since;
  std::string name;
  bool keep_tags = false;
  bool drop_deprecation = false;
};

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

Result<ExportReport> write_image(const Globals& globals, ImageStore& store, const Options& options, int fd,
                                 const Stop& stop) {
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
  const CopySource source{*TRY(repo.segments()), *TRY(repo.nodes())};
  CopyProgress progress;
  const ProgressDisplay display(globals, "image export", [&progress] { return sample_of(progress); });
  return write_bundle(
      source, header, exported(image), exported(TRY(records_of(image, repo.snapshots()))), since,
      [&](ByteSpan bytes) { return write_all(fd, options.file, bytes); }, progress, stop.token());
}

Result<ExportReport> write_file(const Globals& globals, ImageStore& store, const Options& options,
                                const Stop& stop) {
  const UniqueFd fd(::open(options.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd.valid() && errno == EEXIST) return invalid(options.file + " exists already: name a new file");
  if (!fd.valid()) return last_errno(options.file);
  auto report = write_image(globals, store, options, fd.get(), stop);
  if (report.ok() && ::fsync(fd.get()) != 0) report = last_errno(options.file);
  if (!report.ok()) ::unlink(options.file.c_str());
  return report;
}

Result<ExitCode> run_export(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  const bool to_pipe = options.file == "-";
  if (to_pipe && ::isatty(STDOUT_FILENO) != 0)
    return invalid("a bundle is not written to a terminal: redirect standard output or name a file");
  ImageStore store = TRY(ImageStore::open(globals));
  TRY(stop.watch());
  const ExportReport report = TRY(to_pipe ? write_image(globals, store, options, STDOUT_FILENO, stop)
                                          : write_file(globals, store, options, stop));
  const double seconds = monotonic_seconds() - started;
  if (globals.json && !to_pipe) {
    print_json({{"ImageId", options.image},
                {"file", options.file},
                {"bytes", report.bytes},
                {"segments", report.segments},
                {"nodes", report.nodes},
                {"seconds", seconds}});
  } else {
    print_note(fmt::format("{} written in {}", format_size(report.bytes), duration_text(seconds)));
  }
  return ExitCode::kDone;
}

// Gone from the directory at once: nobody else finds it, and it is no more when this process is.
Result<std::unique_ptr<RandomFile>> make_scratch(const std::string& store) {
  FileSystem& files = posix_file_system();
  TRY(files.make_directory(store + "/incoming"));
  const std::string path = fmt::format("{}/incoming/import-{:016x}", store, random_u64());
  auto scratch = TRY(files.create_random(path, kScratchBytes));
  TRY(files.remove(path));
  return scratch;
}

Result<ImageCopyReport> read_image(const Globals& globals, ImageStore& store, const Options& options, int fd,
                                   const Stop& stop) {
  Repo& repo = store.repo();
  const StoreSettings settings = TRY(get_settings(repo.objects()));
  const auto scratch = TRY(make_scratch(repo.path()));
  const CopyTarget target{repo.config(), repo.objects(), *TRY(repo.index()), *TRY(repo.segments()),
                          repo.snapshots()};
  const ImportParts parts{target, *TRY(repo.nodes()), store.catalog(), *scratch};
  const auto accept = [&](const ImageRecord& image) -> Status {
    if (const auto warning = TRY(check_trust(image, settings))) print_warning(*warning);
    return {};
  };
  const ImageCopyOptions how = {options.name, store.account(), options.keep_tags, !options.drop_deprecation};
  CopyProgress progress;
  const ProgressDisplay display(globals, "image import", [&progress] { return sample_of(progress); });
  return import_image(
      parts, [&](MutableByteSpan out) { return read_all(fd, options.file, out); }, accept, how, progress,
      stop.token());
}

Result<ExitCode> run_import(const Globals& globals, const Options& options) {
  Stop stop;
  const double started = monotonic_seconds();
  UniqueFd file;
  if (options.file != "-") {
    file.reset(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return last_errno(options.file);
  }
  ImageStore store = TRY(ImageStore::open(globals));
  TRY(stop.watch());
  const ImageCopyReport report =
      TRY(read_image(globals, store, options, file.valid() ? file.get() : STDIN_FILENO, stop));
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
  Verb writing =
      cli.add_verb("image export", "Write an image with all that it needs into one file, or into a pipe",
                   "  ashlar image export ami-01a2b3c4d5e6f7089 web-1.5.ashlar\n"
                   "  # only what the other side lacks, when it has the version before\n"
                   "  ashlar image export ami-01a2b3c4d5e6f7089 - --since ami-09f8e7d6c5b4a3021 | ssh host "
                   "ashlar --store /backup/store image import -");
  writing.image("IMAGE", options->image, "The image");
  writing.positional("FILE", "FILE", options->file, "A new file, or - for standard output");
  writing.text("--since", "IMAGE", options->since, "Leave out what this image holds too");
  writing.check([options]() -> Status {
    if (!options->since.empty()) TRY(ImageId::parse(options->since).with_context("--since"));
    return {};
  });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run_export(globals, *options); });
  Verb reading = cli.add_verb("image import", "Take an image in from a file or a pipe, and print its new id",
                              "  ashlar image import web-1.5.ashlar --name web-1.5");
  reading.positional("FILE", "FILE", options->file, "What 'image export' wrote, or - for standard input");
  reading.text("--name", "TEXT", options->name, "Its name here [the same]");
  reading.flag("--copy-tags", options->keep_tags, "Keep its tags");
  reading.flag("--no-deprecation", options->drop_deprecation, "Forget its time of deprecation");
  reading.check([options] { return options->name.empty() ? Status() : check_image_name(options->name); });
  cli.on_run(Needs::kStore, [options](const Globals& globals) { return run_import(globals, *options); });
}

}  // namespace ashlar
