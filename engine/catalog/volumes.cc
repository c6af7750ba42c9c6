#include "catalog/volumes.h"

namespace ashlar {

Result<std::optional<VolumeId>> volume_on(const VolumeCatalog& catalog, SnapshotId snapshot) {
  for (const VolumeRecord& record : TRY(catalog.list())) {
    if (record.is_detached) continue;
    if (record.base == snapshot || record.previous_base == snapshot) return std::optional(record.id);
  }
  return std::optional<VolumeId>();
}

}  // namespace ashlar
