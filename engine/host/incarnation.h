// Incarnation: the number of a volume's life, and whether its overlay is open, in the file `incarnation` of
// the overlay's directory. Internal to the module.
//
//   "3 open\n"                              while the volume is served, or a command has it open
//   "3 closed <bytes> <ns> <bytes> <ns>\n"  after a clean end: size and time of the last change of `data`,
//                                           and of `map`; left out where the file system tells no times
//
// The number grows when a server died: writes that it had answered and that were not flushed are gone, and a
// client that goes on with the old number must be refused.
//
// The stamps tell a whole copy of an overlay from a torn one: a program that copies files reads them one
// after the other, so `data` of one moment may come with `map` of another. Both files get a new time at each
// close. Where a copy has both times, the program began to read both after the close, before the next
// opening.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/file_system.h"
#include "io/modified_time.h"

namespace ashlar {

struct Incarnation {
  struct Stamps {
    FileStamp data;
    FileStamp map;
    friend bool operator==(const Stamps&, const Stamps&) = default;
  };
  std::uint64_t number = 1;
  bool is_open = false;
  std::optional<Stamps> closed;
};

// Returns nothing for a volume that was never opened. Fails with kCorrupt for a file of another form.
Result<std::optional<Incarnation>> read_incarnation(FileSystem& files, const std::string& directory);
// Notes that the volume is open from now on, and returns the number of this life.
Result<std::uint64_t> begin_life(FileSystem& files, const std::string& directory);
// Notes a clean end; the overlay was closed before.
Status end_life(FileSystem& files, const std::string& directory, std::uint64_t incarnation);
// Returns whether the overlay's files are as the last clean end left them, also when they were copied.
bool is_as_closed(FileSystem& files, const std::string& directory);
// Removes the file, as a part of removing the overlay.
Status remove_incarnation(FileSystem& files, const std::string& directory);

}  // namespace ashlar
