// The file that --changed names: a map of what changed since the parent, made by the program that tracks the
// source.
//
//   {"since": "t1", "token": "t2", "ranges": [{"offset": 1048576, "length": 65536}]}
//
// `since` is the state that the map starts from (the token recorded with the parent), `token` the state it
// leads to (to be recorded with this snapshot). Offsets and lengths are bytes. Documented in docs/cli.md.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "source/source.h"

namespace ashlar {

struct ChangedMapFile {
  std::string since;
  std::string token;
  std::vector<SourceExtent> ranges;  // sorted, widened to whole blocks, merged
};

// kInvalid, with the place, for anything that is not exactly of the form above.
Result<ChangedMapFile> read_changed_map(const std::string& path);

}  // namespace ashlar
