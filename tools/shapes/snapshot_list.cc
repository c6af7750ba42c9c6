#include "shapes/snapshot_list.h"

namespace ashlar {

Json damaged_json(const SnapshotList& list) {
  Json damaged = Json::array();
  for (const auto& [id, what] : list.damaged) damaged.push_back({{"id", id.text()}, {"what", what}});
  return damaged;
}

}  // namespace ashlar
