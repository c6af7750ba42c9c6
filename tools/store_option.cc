#include "store_option.h"

namespace ashlar {

Result<std::unique_ptr<Repo>> open_store(const Globals& globals) {
  return Repo::open(posix_file_system(), globals.store);
}

}  // namespace ashlar
