// planted(): whether a planted flaw was chosen for this run. plant.py includes this header in the copies of
// sources that it changes; the engine's own sources know nothing of it.
#pragma once

#include <cstdlib>
#include <string_view>

namespace ashlar {

// Returns whether the environment variable ASHLAR_FLAW names this flaw. Any thread.
inline bool planted(std::string_view flaw) {
  static const std::string_view chosen = [] {
    const char* named = std::getenv("ASHLAR_FLAW");  // NOLINT(concurrency-mt-unsafe): no thread sets it
    return std::string_view(named == nullptr ? "" : named);
  }();
  return chosen == flaw;
}

}  // namespace ashlar
