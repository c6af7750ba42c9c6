#include "catalog/snapshots.h"

namespace ashlar {
namespace {

bool older(const SnapshotRecord& a, const SnapshotRecord& b) {
  return std::tie(a.created, a.id) < std::tie(b.created, b.id);
}

// Returns whether the error concerns a single record; any other error concerns the store.
bool says_nothing(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt || code == ErrorCode::kUnsupported;
}

}  // namespace

Result<std::optional<SnapshotRecord>> SnapshotCatalog::newest_of(const SourceIdentity& identity) const {
  std::optional<SnapshotRecord> newest;
  for (const SnapshotId id : TRY(list_ids())) {
    auto record = get(id);
    // The result is a proposal for a parent, and a wrong one only costs time: a damaged record of another
    // snapshot must not stop a capture.
    if (!record.ok()) {
      if (!says_nothing(record.error().code())) return record.take_error();
      continue;
    }
    SnapshotRecord found = record.take();
    if (found.source_identity == identity && (!newest || older(*newest, found))) newest = std::move(found);
  }
  return newest;
}

}  // namespace ashlar
