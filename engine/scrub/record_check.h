// Record check: reads every small object of a store: records of images, volumes, launch templates, policies,
// sessions and the bin, and the settings; and looks whether the snapshots that they need are there.
#pragma once

#include <string>
#include <vector>

#include "io/object_store.h"

namespace ashlar {

struct RecordFault {
  std::string object;
  std::string what;
  bool is_unread = false;  // it could not be read, so nothing is known of its bytes
};

// Returns what is wrong, also while other processes make and delete images, volumes and snapshots. Snapshot
// records themselves are not read.
Result<std::vector<RecordFault>> check_records(ObjectStore& objects);

}  // namespace ashlar
