// Writes an image as a bundle (format/bundle_format.h): what a store needs to hold it, or what it needs
// beyond another image.
#pragma once

#include <functional>
#include <vector>

#include "format/bundle_format.h"
#include "transfer/copy.h"

namespace ashlar {

using WriteBytes = std::function<Status(ByteSpan)>;

struct ExportReport {
  std::uint64_t bytes = 0;  // of the bundle
  std::uint64_t segments = 0;
  std::uint64_t nodes = 0;
};

// `snapshots` are the records of the image's snapshots, in the order of snapshots_of(); `since` are those of
// the image that the other side has. Every frame is checked on the way out. Nothing is to be made of an
// output whose end is missing.
Result<ExportReport> write_bundle(const CopySource& source, const BundleHeader& header,
                                  const ImageRecord& image, const std::vector<SnapshotRecord>& snapshots,
                                  const std::vector<SnapshotRecord>& since, const WriteBytes& write,
                                  CopyProgress& progress, const std::stop_token& stop);

}  // namespace ashlar
