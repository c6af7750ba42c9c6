#include "serve/watched_export.h"

namespace ashlar {

Export::Done WatchedExport::watched(std::uint64_t end, Done done) {
  return [this, end, done = std::move(done)](Status status) {
    if (status.ok()) {
      std::uint64_t before = reached_;
      while (before < end && !reached_.compare_exchange_weak(before, end)) continue;
    } else {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_.emplace(status.error().code(), status.error().text());
    }
    done(std::move(status));
  };
}

void WatchedExport::read(ByteOffset offset, MutableByteSpan out, Done done) {
  SnapshotExport::read(offset, out, watched(offset.value + out.size(), std::move(done)));
}

void WatchedExport::extents(ByteOffset offset, ByteCount bytes, std::size_t most,
                            std::vector<ExportExtent>& out, Done done) {
  SnapshotExport::extents(offset, bytes, most, out, watched(offset.value, std::move(done)));
}

std::optional<Error> WatchedExport::failure() {
  const std::lock_guard lock(mutex_);
  if (!failure_) return std::nullopt;
  return Error(failure_->code(), failure_->text());
}

}  // namespace ashlar
