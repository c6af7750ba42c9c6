// StoreReserve: space on the disk of a store that nothing uses, so that deletions work on a full disk. It is
// a file `reserve` of kReserveBytes in the store's directory: `init` makes it where there is room, and delete
// and purge give it up when they meet a full disk, and make it again as soon as there is room.
#pragma once

#include <cstdint>
#include <string>

#include "io/file_system.h"

namespace ashlar {

inline constexpr std::uint64_t kReserveBytes = std::uint64_t{80} << 20U;

class StoreReserve {
 public:
  StoreReserve(FileSystem& files, const std::string& store) : files_(files), path_(store + "/reserve") {}

  // Makes the reserve unless it is there. Leaves nothing behind when it fails.
  Status make();
  // Gives the space back. Returns whether there was any.
  bool release();

  // Runs `act`, which is safe to repeat. When it fails for lack of space, runs it once more without the
  // reserve.
  template <class Act>
  auto run(const Act& act) {
    auto done = act();
    const bool is_full = !done.ok() && done.error().code() == ErrorCode::kExhausted;
    if (is_full && release()) done = act();
    if (done.ok()) best_effort(make());
    return done;
  }

 private:
  FileSystem& files_;
  const std::string path_;
};

}  // namespace ashlar
