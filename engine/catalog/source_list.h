// SourceList: of which source each snapshot of a store is, and when it was made. Neither changes in the life
// of a snapshot, and ids are never given again. So a host that keeps the list between its runs finds the
// newest snapshot of a source with a list of names, and reads only records that are new to it.
//
// A cache: an entry that is missing or wrong costs time only, because the snapshot that is found is read.
// docs/format/host.md has the bytes.
//
// One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "catalog/snapshots.h"

namespace ashlar {

class SourceList {
 public:
  // The largest list that is read: more than five million snapshots.
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{256} << 20U;

  // Reads what encode() wrote. A list of another store, or one that is damaged, is empty.
  static SourceList decode(ByteSpan bytes, const StoreId& store);
  ByteVector encode(const StoreId& store) const;

  // Brings the list up to date and returns the newest published snapshot of a source, or no value. An object
  // that can't be read is passed over and named in `unread`: the result is a proposal for a parent, and a
  // wrong one only costs time.
  Result<std::optional<SnapshotRecord>> newest_of(const SnapshotCatalog& snapshots,
                                                  const SourceIdentity& identity,
                                                  std::vector<std::string>& unread);
  // Returns whether the list differs from what was decoded.
  bool has_changed() const { return has_changed_; }

 private:
  struct Entry {
    SnapshotId snapshot;
    SourceIdentity source;
    UtcTime created;
  };

  Status update(const SnapshotCatalog& snapshots, std::vector<std::string>& unread);

  std::vector<Entry> entries_;  // ascending by snapshot
  bool has_changed_ = false;
};

}  // namespace ashlar
