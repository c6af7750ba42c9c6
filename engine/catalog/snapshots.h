// SnapshotCatalog: records published under `snapshots/<id>`. They are never replaced.
#pragma once

#include <optional>

#include "catalog/record_folder.h"
#include "format/snapshot_record.h"

namespace ashlar {

struct SnapshotKind {
  using Record = SnapshotRecord;
  using Id = SnapshotId;
  static constexpr std::string_view kFolder = "snapshots/";
  static constexpr std::size_t kMaxBytes = kMaxSnapshotRecordBytes;
  static ByteVector encode(const SnapshotRecord& record) { return ashlar::encode(record); }
  static Result<SnapshotRecord> decode(ByteSpan bytes) { return decode_snapshot_record(bytes); }
};

class SnapshotCatalog : public RecordFolder<SnapshotKind> {
 public:
  using RecordFolder::RecordFolder;
  Status replace(const SnapshotRecord& before, const SnapshotRecord& now) = delete;
  // Returns the newest snapshot of a source, or no value.
  Result<std::optional<SnapshotRecord>> newest_of(const SourceIdentity& identity) const;
};

}  // namespace ashlar
