// Writes an image as a bundle (format/bundle_format.h): what a store needs to hold it, or what it needs
// beyond another image.
#pragma once

#include <functional>
#include <vector>

#include "document/image_record.h"
#include "format/bundle_format.h"
#include "transfer/copy.h"

namespace ashlar {

using WriteBytes = std::function<Status(ByteSpan)>;

// Where a bundle goes.
struct BundleOutput {
  WriteBytes write;
  // Called between items, where the stream may be cut: what lies between two such places is often the same
  // in the bundle of another version of the image (docs/decisions/oci-artifacts.md).
  std::function<Status()> cut = [] { return Status(); };
};

struct ExportReport {
  std::uint64_t bytes = 0;  // of the bundle
  std::uint64_t segments = 0;
  std::uint64_t nodes = 0;
};

// `snapshots` are the records of the image's snapshots, in the order of snapshots_of(); `since` are those of
// the image that the other side has. Every frame is checked on the way out. Segments go in the order in which
// they lie in the packs, nodes behind them. Nothing is to be made of an output whose end is missing.
Result<ExportReport> write_bundle(const ReadParts& source, const BundleHeader& header,
                                  const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots,
                                  const std::vector<SnapshotRecord>& since, const BundleOutput& output,
                                  CopyProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
