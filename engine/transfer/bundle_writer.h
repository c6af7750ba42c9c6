// Bundle writer: writes an image as a bundle (format/bundle_format.h): everything that a store needs to hold
// it, or everything that it needs in addition to another image.
#pragma once

#include <functional>
#include <vector>

#include "document/image_record.h"
#include "format/bundle_format.h"
#include "transfer/copy.h"

namespace ashlar {

using WriteBytes = std::function<Status(ByteSpan)>;

// The destination of a bundle.
struct BundleOutput {
  WriteBytes write;
  // Called between items, where the stream may be cut: the piece between two such places is often the same in
  // the bundle of another version of the image (docs/decisions/oci-artifacts.md).
  std::function<Status()> cut = [] { return Status(); };
};

struct ExportReport {
  std::uint64_t bytes = 0;  // size of the bundle
  std::uint64_t segments = 0;
  std::uint64_t nodes = 0;
};

// Writes the bundle. `snapshots` are the records of the image's snapshots, in the order of snapshots_of();
// `since` are those of the image that the receiver has. Every frame is checked before it is written. Segments
// are written in the order in which they lie in the packs, and nodes follow them. An output without its end
// must not be used.
Result<ExportReport> write_bundle(const ReadParts& source, const BundleHeader& header,
                                  const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots,
                                  const std::vector<SnapshotRecord>& since, const BundleOutput& output,
                                  CopyProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
