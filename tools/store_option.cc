#include "store_option.h"

namespace ashlar {

Result<std::unique_ptr<Repo>> open_store(const Globals& globals) {
  return Repo::open(posix_file_system(), globals.store);
}

Result<std::unique_ptr<VolumeHost>> open_volume_host(const Globals& globals, std::size_t cache_bytes) {
  return std::make_unique<VolumeHost>(posix_file_system(), TRY(open_store(globals)), cache_bytes);
}

}  // namespace ashlar
