// Snapshot names: which images and volumes stand on the snapshots that have lost something. Internal to the
// module.
#pragma once

#include <vector>

#include "io/object_store.h"
#include "scrub/verify.h"

namespace ashlar {

// Fills in the images and volumes of each loss. A record that can't be read names nothing here.
Status name_users(ObjectStore& objects, std::vector<Damage>& damages);

}  // namespace ashlar
