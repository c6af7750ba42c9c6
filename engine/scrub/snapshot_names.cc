#include "scrub/snapshot_names.h"

#include <map>

#include "catalog/images.h"
#include "catalog/volumes.h"

namespace ashlar {
namespace {

// Adds an id that may have been the last one to be added.
template <class Id>
void add_once(std::vector<Id>& ids, Id id) {
  if (ids.empty() || ids.back() != id) ids.push_back(id);
}

}  // namespace

Status name_users(ObjectStore& objects, std::vector<Damage>& damages) {
  std::map<SnapshotId, Damage::Loss> users;
  for (const Damage& damage : damages) {
    for (const Damage::Loss& loss : damage.losses) users.try_emplace(loss.snapshot);
  }
  if (users.empty()) return {};
  const ImageCatalog images(objects);
  for (const ImageId id : TRY(images.list_ids())) {
    const auto image = images.get(id);
    if (!image.ok() || !is_alive(image.value())) continue;
    for (const SnapshotId snapshot : snapshots_of(image.value())) {
      if (const auto user = users.find(snapshot); user != users.end()) add_once(user->second.images, id);
    }
  }
  const VolumeCatalog volumes(objects);
  for (const VolumeId id : TRY(volumes.list_ids())) {
    const auto volume = volumes.get(id);
    if (!volume.ok() || volume.value().is_detached) continue;
    for (const SnapshotId base : {volume.value().base, volume.value().previous_base}) {
      if (const auto user = users.find(base); user != users.end()) add_once(user->second.volumes, id);
    }
  }
  for (Damage& damage : damages) {
    for (Damage::Loss& loss : damage.losses) {
      loss.images = users[loss.snapshot].images;
      loss.volumes = users[loss.snapshot].volumes;
    }
  }
  return {};
}

}  // namespace ashlar
