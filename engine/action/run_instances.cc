// run_instances() of action/instances.h.
#include <fmt/format.h>

#include <algorithm>

#include "action/instances.h"
#include "catalog/images.h"
#include "image/access.h"
#include "image/register.h"

namespace ashlar {
namespace {

constexpr const char* kRootDevice = "/dev/sda";

Result<MachineSpec> spec_of_snapshot(Repo& repo, SnapshotId id, const RunInstancesRequest& request) {
  if (!request.mappings.empty())
    return invalid("a snapshot is one disk: a device mapping is for the devices of an image");
  const SnapshotRecord snapshot = TRY(repo.snapshots().get(id));
  ImageDevice disk;
  disk.name = kRootDevice;
  disk.content = {id, snapshot.content, snapshot.size};
  disk.size = request.size.value == 0 ? snapshot.size : request.size;
  MachineSpec spec;
  spec.devices = {disk};
  return spec;
}

Result<ImageRecord> find_image(Repo& repo, const Caller& caller, ImageId id) {
  auto record = ImageCatalog(repo.objects()).get(id);
  const bool is_hidden = record.ok() && !may_see(record.value(), caller.account);
  if (!is_hidden && !is(record, ErrorCode::kNotFound)) return record;
  return not_found(fmt::format("no image {} in this store", id.text()))
      .about(ErrorKind::kNoSuchImage, id.text());
}

Status check_launchable(const ImageRecord& image) {
  if (image.state != ImageState::kAvailable)
    return invalid(fmt::format("{} is {}, not available", image.id.text(), image_state_name(image.state)));
  if (image.architecture != Architecture::kX8664 && image.architecture != Architecture::kI386)
    return unsupported(fmt::format("{} is for {}: this program runs machines of x86_64 and i386",
                                   image.id.text(), architecture_name(image.architecture)));
  if (image.boot_mode == BootMode::kUefi)
    return unsupported(image.id.text() + " needs UEFI: machines have a BIOS here");
  return {};
}

Result<MachineSpec> spec_of_image(Repo& repo, const Caller& caller, ImageId id,
                                  const RunInstancesRequest& request) {
  if (request.size.value != 0)
    return invalid("the size of a disk of an image is stated by a mapping of its device");
  const ImageRecord image = TRY(find_image(repo, caller, id));
  TRY(check_launchable(image));
  if (is_deprecated(image, UtcTime::now()))
    caller.notices.warn(fmt::format("{} is deprecated since {}", id.text(), image.deprecated->iso8601()));
  ImageRecord mapped = image;
  mapped.devices = TRY(overridden(image.devices, request.mappings));
  TRY(fill_contents(repo.snapshots(), mapped));
  TRY(check_limits(mapped));
  if (mapped.devices.size() > kMaxInstanceDevices) {
    return invalid(fmt::format("{} maps {} devices: a machine has at most {}", id.text(),
                               mapped.devices.size(), kMaxInstanceDevices));
  }
  MachineSpec spec;
  spec.image = id;
  spec.root_device_type = image.root_device_type;
  spec.boot = image.boot;
  spec.devices = std::move(mapped.devices);
  const auto root = std::ranges::find(spec.devices, image.root_device, &ImageDevice::name);
  std::rotate(spec.devices.begin(), root, root + 1);
  return spec;
}

Result<MachineSpec> spec_of(Host& host, const Caller& caller, const RunInstancesRequest& request) {
  Repo& repo = host.repo();
  const auto* const image = std::get_if<ImageId>(&request.source);
  MachineSpec spec = TRY(image ? spec_of_image(repo, caller, *image, request)
                               : spec_of_snapshot(repo, std::get<SnapshotId>(request.source), request));
  spec.shape = request.shape;
  spec.keep_volumes = request.keep_volumes;
  spec.owner = volume_owner(caller, repo.config().id);
  return spec;
}

// Names ten machines called "web" "web-1" to "web-10".
std::string name_of(const std::string& name, unsigned number, unsigned count) {
  return name.empty() || count == 1 ? name : fmt::format("{}-{}", name, number);
}

Error after(const std::vector<InstanceRecord>& launched, const Error& error) {
  if (launched.empty()) return error;
  std::string ids;
  for (const InstanceRecord& record : launched) ids += " " + record.id.text();
  return error.with_text(fmt::format("{}; running already:{}", error.text(), ids));
}

}  // namespace

Result<std::vector<InstanceRecord>> run_instances(Host& host, const Caller& caller,
                                                  const RunInstancesRequest& request) {
  MachineSpec spec = TRY(spec_of(host, caller, request));
  std::vector<InstanceRecord> launched;
  for (unsigned number = 1; number <= request.count; ++number) {
    spec.shape.name = name_of(request.shape.name, number, request.count);
    auto record = host.machines().launch(spec);
    if (!record.ok()) return after(launched, record.error());
    launched.push_back(record.take());
    request.launched(launched.back());
  }
  return launched;
}

}  // namespace ashlar
