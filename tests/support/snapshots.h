// Snapshots for tests of what lies above sessions: put into a store, and taken out of it, without a writer.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "catalog/snapshots.h"

namespace ashlar {

inline Status publish_snapshot(ObjectStore& objects, const SnapshotRecord& record) {
  return objects.put_if_absent(SnapshotCatalog::key_of(record.id), encode(record));
}

inline Status remove_snapshot(ObjectStore& objects, SnapshotId id) {
  return objects.remove(SnapshotCatalog::key_of(id));
}

// Returns all published snapshots; each object has to be readable.
inline std::vector<SnapshotRecord> snapshots_in(ObjectStore& objects) {
  std::vector<std::string> unread;
  auto records = SnapshotCatalog(objects).list(unread);
  EXPECT_TRUE(records.ok() && unread.empty());
  return records.ok() ? records.take() : std::vector<SnapshotRecord>();
}

}  // namespace ashlar
