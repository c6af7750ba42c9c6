#include <fmt/format.h>

#include "action/account_images.h"
#include "action/image_checks.h"

namespace ashlar {

Result<std::vector<InspectedDevice>> inspect_image(Repo& repo, const Caller& caller, ImageId id) {
  const ImageRecord image = TRY(AccountImages::open(repo, caller).find(id));
  if (image.state == ImageState::kPending || image.state == ImageState::kFailed)
    return invalid(
        fmt::format("{} is {}: it has no disks to inspect", id.text(), image_state_name(image.state)));
  return inspect_devices(repo, image.devices, caller.stop);
}

Result<std::vector<InspectedDevice>> inspect_snapshot(Repo& repo, const Caller& caller, SnapshotId id) {
  std::vector<InspectedDevice> devices;
  devices.push_back(TRY(inspect_snapshot(repo, "", id, caller.stop)));
  return devices;
}

}  // namespace ashlar
