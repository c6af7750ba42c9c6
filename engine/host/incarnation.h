// Incarnation: the number of a volume's life, in the file `incarnation` of its overlay directory.
// Internal to the module.
//
//   "3 serving\n"   while the volume is served, or a command changes it
//   "3\n"           after a clean end
//
// The number grows when a server died: writes that it had answered and that were not flushed are gone, and a
// client that goes on with the old number must be refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/file_system.h"

namespace ashlar {

struct Incarnation {
  std::uint64_t number = 1;
  bool is_served = false;
};

// Returns nothing for a volume that was never served. Fails with kCorrupt for a file without a number.
Result<std::optional<Incarnation>> read_incarnation(FileSystem& files, const std::string& directory);
// Notes that the volume is served or changed from now on, and returns the number of this life.
Result<std::uint64_t> begin_serving(FileSystem& files, const std::string& directory);
// Notes a clean end; the overlay was closed before.
Status end_serving(FileSystem& files, const std::string& directory, std::uint64_t incarnation);
// Removes the file, as a part of removing the overlay.
void remove_incarnation(FileSystem& files, const std::string& directory);

}  // namespace ashlar
