#include "shapes/snapshot_list.h"

#include <algorithm>

namespace ashlar {

Result<SnapshotList> list_snapshots(const SnapshotCatalog& catalog) {
  SnapshotList list;
  for (const SnapshotId id : TRY(catalog.list_ids())) {
    auto record = catalog.get(id);
    if (record.ok()) {
      list.records.push_back(record.take());
    } else if (record.error().code() == ErrorCode::kNotFound) {
      continue;  // deleted meanwhile
    } else if (record.error().code() == ErrorCode::kCorrupt) {
      list.damaged.emplace_back(id, record.error().text());
    } else {
      return record.take_error();
    }
  }
  std::ranges::sort(list.records, {}, [](const SnapshotRecord& r) { return std::pair(r.created, r.id); });
  return list;
}

Json damaged_json(const SnapshotList& list) {
  Json damaged = Json::array();
  for (const auto& [id, what] : list.damaged) damaged.push_back({{"id", id.text()}, {"what", what}});
  return damaged;
}

}  // namespace ashlar
