#include "catalog/snapshots.h"

namespace ashlar {
namespace {

bool older(const SnapshotRecord& a, const SnapshotRecord& b) {
  return std::tie(a.created, a.id) < std::tie(b.created, b.id);
}

// Of one record; any other failure is the store's.
bool says_nothing(ErrorCode code) {
  return code == ErrorCode::kNotFound || code == ErrorCode::kCorrupt || code == ErrorCode::kUnsupported;
}

}  // namespace

Result<std::optional<SnapshotRecord>> SnapshotCatalog::newest_of(const SourceIdentity& identity) const {
  std::optional<SnapshotRecord> newest;
  for (const SnapshotId id : TRY(list_ids())) {
    auto record = get(id);
    // The answer is a guess at a parent, which only costs time when it is wrong: a damaged record of some
    // other snapshot must not stop a capture.
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
