// Records from a copy: puts damaged or missing records of a store back from a copy of the same store.
// Internal to the module.
//
// A record is what it was when the copy was made: tags, names and settings that changed since are lost.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/object_store.h"

namespace ashlar {

// Returns the keys of the records that were put back. Only those that can be read in the copy are.
Result<std::vector<std::string>> put_records_back(ObjectStore& objects, ObjectStore& copy);

}  // namespace ashlar
