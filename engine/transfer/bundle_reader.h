// Bundle reader: imports an image from a bundle (format/bundle_format.h), which may be hostile.
//
// The whole bundle is read and checked first: every frame against its block ids, every node against its id,
// the trees against the snapshots, their digests against the blocks, the records against each other, and the
// end against everything before it. Only then are nodes and records published. Segments of a long bundle are
// published earlier, a pack at a time: they are verified blocks without a name, which the next import of the
// bundle finds. A bundle that is refused leaves nothing else in the store, and one of less than a pack (64
// MiB) leaves nothing at all.
#pragma once

#include <functional>

#include "format/bundle_format.h"
#include "transfer/copy_image.h"

namespace ashlar {

// Fills `out`, or a part of it at the end of the input, and returns the number of bytes.
using ReadBytes = std::function<Result<std::size_t>(MutableByteSpan)>;

// Returns whether these first bytes of a file are those of a bundle.
bool begins_as_bundle(ByteSpan bytes);

struct ImportParts {
  const WriteParts& target;
  NodeReader& nodes;    // reads nodes of the target
  RandomFile& scratch;  // holds nodes and block ids: 1 % of the size of the bundle's contents
};

// Imports the image. `accept` checks the image's record before anything else is read. Returns kCorrupt for a
// bundle that is damaged or incomplete; kUnsupported for a newer version.
Result<ImageCopyReport> import_image(const ImportParts& parts, const ReadBytes& read,
                                     const std::function<Status(const ImageRecord&)>& accept,
                                     const ImageCopyOptions& options, CopyProgress& progress,
                                     const std::stop_token& stop);

}  // namespace ashlar
