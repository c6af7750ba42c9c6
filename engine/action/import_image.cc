#include <fcntl.h>
#include <fmt/format.h>

#include "action/account_images.h"
#include "action/image_acceptance.h"
#include "action/image_transfers.h"
#include "base/interrupted.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "io/descriptor.h"
#include "transfer/layout_reader.h"

namespace ashlar {
namespace {

constexpr std::uint64_t kScratchBytes = std::uint64_t{1} << 40U;  // sparse

// Makes a file without a name: no other process finds it, and it ends with this one.
Result<std::unique_ptr<RandomFile>> make_scratch(HostDirectory& host) {
  FileSystem& files = host.files();
  TRY(host.make_folder(host.scratch()));
  const std::string path = fmt::format("{}/import-{:016x}", host.scratch(), random_u64());
  auto scratch = TRY(files.create_random(path, kScratchBytes));
  TRY(files.remove(path));
  return scratch;
}

}  // namespace

Result<ImageCopyReport> import_image(Repo& repo, const Caller& caller, const NewCopy& copy,
                                     const ReadBytes& bundle) {
  AccountImages::open(repo, caller);
  const auto scratch = TRY(make_scratch(repo.host()));
  const WriteParts target = TRY(repo.write_parts());
  const auto accept = [&](const ImageRecord& image) { return accept_image(repo, caller, image); };
  const ImageCopyOptions options{copy.name, caller.account, copy.keep_tags, copy.keep_deprecation};
  CopyProgress progress;
  const auto watch = caller.notices.watch("image import", [&progress] { return sample_of(progress); });
  return import_image(ImportParts{target, *TRY(repo.nodes()), *scratch}, bundle, accept, options, progress,
                      caller.stop);
}

Result<ImageCopyReport> import_image_file(Repo& repo, const Caller& caller, const NewCopy& copy,
                                          const std::string& file) {
  const UniqueFd fd(uninterrupted([&] { return ::open(file.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!fd.valid()) return last_errno(file);
  return import_image(repo, caller, copy, bundle_from(fd.get(), file));
}

Result<ImageCopyReport> import_image_layout(Repo& repo, const Caller& caller, const NewCopy& copy,
                                            const LayoutPlace& place) {
  OciLayoutReader layout = TRY(OciLayoutReader::open(place.directory, place.tag).with_context(place.text()));
  return import_image(repo, caller, copy, [&](MutableByteSpan out) { return layout.read(out); });
}

ReadBytes bundle_from(int fd, const std::string& name) {
  return [fd, name, is_start = true](MutableByteSpan out) mutable -> Result<std::size_t> {
    auto got = read_full(fd, out, name);
    if (!got.ok() && got.error().error_number() == EISDIR) return invalid(name + " is a directory");
    if (got.ok() && is_start && !begins_as_bundle(out.first(got.value())))
      return invalid(name + " is not an image bundle");
    is_start = false;
    return got;
  };
}

}  // namespace ashlar
