// Takes an image in from a bundle (format/bundle_format.h), which may be hostile.
//
// Everything is read and checked first: every frame against its block ids, every node against its id, the
// trees against the snapshots, their digests against the blocks, the records against each other, and the end
// against all that came before. Only then nodes and records are published. Segments of a long bundle are
// published on the way, a pack at a time: verified blocks that nothing names, which the next import of the
// bundle finds. A bundle that is refused leaves nothing else behind, and one of less than a pack (64 MiB)
// nothing at all.
#pragma once

#include <functional>

#include "format/bundle_format.h"
#include "transfer/copy_image.h"

namespace ashlar {

// Fills `out`, or less at the end of the input.
using ReadBytes = std::function<Result<std::size_t>(MutableByteSpan)>;

struct ImportParts {
  const WriteParts& target;
  NodeReader& nodes;  // of the target
  ImageCatalog& images;
  RandomFile& scratch;  // for nodes and block ids: 1 % of what the bundle holds
};

// `accept` looks at the image's record before anything else is read. kCorrupt for a bundle that is damaged or
// that lacks something; kUnsupported for a newer version.
Result<ImageCopyReport> import_image(const ImportParts& parts, const ReadBytes& read,
                                     const std::function<Status(const ImageRecord&)>& accept,
                                     const ImageCopyOptions& options, CopyProgress& progress,
                                     const std::stop_token& stop);

}  // namespace ashlar
