// watched_source(): a disk that is served from a file, as a source with the name and identity of that file.
// Internal to the module.
#pragma once

#include <memory>
#include <string>

#include "quiesce/held_file.h"
#include "source/source.h"

namespace ashlar {

// Returns a source that reads `source`, and fails with kBusy at the end of a read when `file` was changed.
// Under `identity`, the next import of the file finds this capture as its parent.
std::unique_ptr<Source> watched_source(std::unique_ptr<Source> source, std::shared_ptr<const HeldFile> file,
                                       std::string name, std::string identity);

}  // namespace ashlar
