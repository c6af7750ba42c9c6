// Records: puts damaged or missing records of a store back, from a copy of the same store or from what other
// records say. Internal to the module.
//
// A record of a copy is what it was when the copy was made: tags, names and settings that changed since are
// lost.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/object_store.h"

namespace ashlar {

// Claims the names of images anew whose claims have disappeared, and returns the keys.
Result<std::vector<std::string>> claim_missing_names(ObjectStore& objects);

// Returns the keys of the records that were put back. Only those that can be read in the copy are.
Result<std::vector<std::string>> put_records_back(ObjectStore& objects, ObjectStore& copy);

}  // namespace ashlar
