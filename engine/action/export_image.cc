#include <fcntl.h>
#include <unistd.h>

#include "action/account_images.h"
#include "action/damage_warnings.h"
#include "action/image_transfers.h"
#include "action/outside_store.h"
#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "document/oci_layout.h"
#include "image/contents.h"
#include "io/descriptor.h"
#include "io/new_file.h"
#include "transfer/layout_writer.h"

namespace ashlar {
namespace {

// Leaves out with whom the image is shared, and what names its source.
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

}  // namespace

Result<ExportedImage> export_image(Repo& repo, const Caller& caller, const ExportImage& request,
                                   const BundleOutput& output) {
  const AccountImages images = AccountImages::open(repo, caller);
  const ImageRecord image = TRY(images.find_available(request.image));
  const std::vector<SnapshotRecord> snapshots = TRY(records_of(image, repo.snapshots()));
  BundleHeader header{repo.config().id, image.id, request.since, {}, {}};
  std::vector<SnapshotRecord> since;
  if (request.since.value != 0) {
    const ImageRecord base = TRY(images.find(request.since));
    since = TRY(records_of(base, repo.snapshots()));
    header.set_original(base.source_store, base.source_image);
  }
  const DamageWarnings warnings(repo, caller.notices);
  const ReadParts source = TRY(repo.read_parts());
  CopyProgress progress;
  const auto watch = caller.notices.watch("image export", [&progress] { return sample_of(progress); });
  const ExportReport report = TRY(write_bundle(source, header, exported(image), exported(snapshots), since,
                                               output, progress, caller.stop));
  return ExportedImage{image, report};
}

Result<ExportedImage> export_image_file(Repo& repo, const Caller& caller, const ExportImage& request,
                                        const std::string& file) {
  TRY(check_outside_store(file, repo.address().directory));
  NewFile target = TRY(NewFile::begin(file));
  const UniqueFd fd(uninterrupted(
      [&] { return ::open(target.path().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); }));
  if (!fd.valid()) return last_errno(file);
  const BundleOutput output{[&](ByteSpan bytes) { return write_all(fd.get(), bytes, file); }};
  const ExportedImage done = TRY(export_image(repo, caller, request, output));
  TRY(target.publish());
  return done;
}

// The image is looked for first: without it no directory is made.
Result<ExportedLayout> export_image_layout(Repo& repo, const Caller& caller, const ExportImage& request,
                                           const LayoutPlace& place) {
  TRY(AccountImages::open(repo, caller).find_available(request.image));
  TRY(check_outside_store(place.directory, repo.address().directory));
  const std::string tag = place.tag.empty() ? request.image.text() : place.tag;
  const auto writer = TRY(OciLayoutWriter::begin(posix_file_system(), place.directory, tag));
  const BundleOutput output{[&](ByteSpan bytes) { return writer->append(bytes); },
                            [&] { return writer->cut(); }};
  const ExportedImage done = TRY(export_image(repo, caller, request, output));
  const OciBlob manifest =
      TRY(writer->finish({{}, done.image.name, done.image.created, done.image.id, request.since}));
  return ExportedLayout{done, manifest.digest, writer->parts()};
}

}  // namespace ashlar
