// Records: puts damaged or missing records of snapshots back from a copy of the same store, and claims the
// names of images again. Internal to the module.
//
// A snapshot's record changes little once it is published: its tags, and whether it is deleted. So a copy of
// it is right but for these: a snapshot whose record was damaged after its deletion is there again. Records
// of volumes, images and settings are not put back: an older one would name what it does not stand on any
// more, or share what is shared no longer.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/object_store.h"

namespace ashlar {

// Returns the keys of the records that were put back. Only those that can be read in the copy are.
Result<std::vector<std::string>> put_snapshots_back(ObjectStore& objects, ObjectStore& copy);

// Claims the names of images anew whose claims have disappeared, and returns the keys.
Result<std::vector<std::string>> claim_missing_names(ObjectStore& objects);

}  // namespace ashlar
