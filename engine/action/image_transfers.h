// Image transfers: images on their way from store to store, through a stream, a file or an OCI image layout.
// A store accepts an image from elsewhere by its settings: without the signature of a trusted key it may
// warn, or fail with kInvalid, kind kNotTrusted.
#pragma once

#include <string>

#include "action/caller.h"
#include "document/image_record.h"
#include "repo/repo.h"
#include "transfer/bundle_reader.h"
#include "transfer/bundle_writer.h"

namespace ashlar {

// Attributes that a new image takes over from the image that it is a copy of.
struct NewCopy {
  std::string name;  // empty: the original's
  bool keep_tags = false;
  bool keep_deprecation = true;
};

// Copies an available image into the store `to`, on behalf of `there`, or into its own store, where only
// records are new. Launch permissions are not copied, signatures are. Fails with kBusy when the name is
// taken.
Result<ImageCopyReport> copy_image(Repo& from, const Caller& here, Repo& to, const Caller& there, ImageId id,
                                   const NewCopy& copy);

struct ExportImage {
  ImageId image;
  ImageId since;  // value 0: none; what this image holds is left out
};
struct ExportedImage {
  ImageRecord image;
  ExportReport report;
};
// Writes an available image as a bundle. Permissions, and what names its sources, are left out.
Result<ExportedImage> export_image(Repo& repo, const Caller& caller, const ExportImage& request,
                                   const BundleOutput& output);
// Writes the image into a new file outside of the store. Fails with kInvalid, kind kTargetExists, when the
// name is taken; leaves no file on failure.
Result<ExportedImage> export_image_file(Repo& repo, const Caller& caller, const ExportImage& request,
                                        const std::string& file);

// An OCI image layout, and an image in it.
struct LayoutPlace {
  std::string directory;
  std::string tag;  // empty: the image's id for an export, the only image for an import

  std::string text() const { return tag.empty() ? directory : directory + ":" + tag; }
};
struct ExportedLayout {
  ExportedImage exported;
  Sha256 manifest;  // digest of the manifest
  std::size_t parts = 0;
};
// Writes the image into a layout outside of the store, a new one or one that is there.
Result<ExportedLayout> export_image_layout(Repo& repo, const Caller& caller, const ExportImage& request,
                                           const LayoutPlace& place);

// Imports an image from a bundle, which may be hostile. Fails with kCorrupt when it is damaged or incomplete;
// with kInvalid for a file that does not begin as a bundle.
Result<ImageCopyReport> import_image(Repo& repo, const Caller& caller, const NewCopy& copy,
                                     const ReadBytes& bundle);
Result<ImageCopyReport> import_image_file(Repo& repo, const Caller& caller, const NewCopy& copy,
                                          const std::string& file);
Result<ImageCopyReport> import_image_layout(Repo& repo, const Caller& caller, const NewCopy& copy,
                                            const LayoutPlace& place);

// Returns a bundle that is read from a descriptor, which stays open as long; `name` names it in errors. The
// first read fails with kInvalid when the input does not begin as a bundle.
ReadBytes bundle_from(int fd, const std::string& name);

}  // namespace ashlar
