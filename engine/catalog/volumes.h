// The catalog of volumes: records under `volumes/<id>`, replaced as a whole.
#pragma once

#include <vector>

#include "format/volume_record.h"
#include "io/object_store.h"

namespace ashlar {

class VolumeCatalog {
 public:
  explicit VolumeCatalog(ObjectStore& objects) : objects_(objects) {}

  // Durable when it returns ok. kBusy when the id is taken.
  Status publish(const VolumeRecord& record);
  // Puts `now` where `before` stands: kBusy when somebody changed the record meanwhile.
  Status replace(const VolumeRecord& before, const VolumeRecord& now);
  // kNotFound: "no volume vol-… in this store".
  Result<VolumeRecord> get(VolumeId id) const;
  // All records, oldest first. A damaged record fails the call and is named.
  Result<std::vector<VolumeRecord>> list() const;
  Status remove(VolumeId id);

 private:
  ObjectStore& objects_;
};

}  // namespace ashlar
