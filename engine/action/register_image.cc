#include "action/account_images.h"
#include "action/images.h"
#include "image/register.h"
#include "inspect/image_inspection.h"

namespace ashlar {
namespace {

std::optional<ImageContent> boot_file(SnapshotId snapshot) {
  if (snapshot.value == 0) return std::nullopt;
  ImageContent content;
  content.snapshot = snapshot;
  return content;
}

ImageRecord image_of(const RegisterImage& request) {
  ImageRecord image;
  image.name = request.name;
  image.description = request.description;
  image.architecture = request.architecture;
  image.root_device_type = request.root_device_type;
  image.boot_mode = request.boot_mode;
  image.ena_support = request.ena_support;
  image.sriov_net_support = request.sriov_net_support;
  image.tpm_support = request.tpm_support;
  image.imds_support = request.imds_support;
  image.platform = request.platform;
  image.boot = {boot_file(request.kernel), boot_file(request.ramdisk), request.kernel_command_line};
  image.devices = request.devices;
  image.root_device = request.root_device;
  if (image.root_device.empty() && !image.devices.empty()) image.root_device = image.devices.front().name;
  image.tags = request.tags;
  return image;
}

}  // namespace

// Fills in what only the store knows: ids, the owner, and sizes that are the snapshots'.
Status check_request(const RegisterImage& request) {
  ImageRecord image = image_of(request);
  image.id = ImageId{1};
  image.owner = AccountId{1};
  for (ImageDevice& device : image.devices) {
    if (device.kind == ImageDevice::Kind::kSnapshot && device.size.value == 0) device.size = ByteCount{1};
  }
  return check_limits(image);
}

// Snapshots never change: what is clean before the image is made is clean in it.
Result<ImageRecord> register_image(Repo& repo, const Caller& caller, const RegisterImage& request) {
  AccountImages images = AccountImages::open(repo, caller);
  ImageRecord wanted = image_of(request);
  if (request.must_be_clean) TRY(check_clean(TRY(inspect_devices(repo, wanted.devices, caller.stop))));
  wanted.store = repo.config().id;
  wanted.owner = caller.account;
  return register_image(images.catalog(), repo.snapshots(), std::move(wanted));
}

}  // namespace ashlar
