#include "action/stores.h"

#include <fmt/format.h>

namespace ashlar {

Result<Adoption> adopt_store(Repo& repo, const Caller& caller) {
  Adoption adoption = TRY(adopt(repo));
  for (const VolumeId id : adoption.torn) {
    caller.notices.warn(
        fmt::format("{} was open when the store was copied, and its copy may be damaged: it is moved to {}",
                    id.text(), repo.host().torn(id)));
  }
  for (const InstanceId id : adoption.torn_files) {
    caller.notices.warn(fmt::format(
        "{} ran when the store was copied, and its disks that are files may be damaged", id.text()));
  }
  for (const std::string& damaged : adoption.damaged) caller.notices.warn(damaged);
  return adoption;
}

}  // namespace ashlar
