#include "host/machine_parts.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "image/contents.h"
#include "restore/restore.h"

namespace ashlar {
namespace {

// Gives a sparse file its size; makes it when it is missing.
Status resize_file(const std::string& path, ByteCount size) {
  const UniqueFd fd(
      uninterrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600); }));
  if (!fd.valid() ||
      uninterrupted([&] { return ::ftruncate(fd.get(), static_cast<off_t>(size.value)); }) != 0)
    return last_errno(path);
  return {};
}

Status restore_file(Repo& repo, const ImageContent& content, ByteCount size, const std::string& path) {
  const SnapshotRecord snapshot = TRY(repo.snapshots().get(content.snapshot));
  const ReadParts parts = TRY(repo.read_parts());
  RestoreProgress progress;
  {
    const auto target = TRY(Target::open(path, snapshot.size, false));
    TRY(restore(parts, snapshot, *target, {}, progress, {}));
  }
  return resize_file(path, size);
}

Status make_devices(Repo& repo, Volumes& volumes, const std::string& directory, const MachineSpec& spec,
                    InstanceRecord& record) {
  for (const ImageDevice& device : spec.devices) {
    const bool is_root = record.devices.empty();
    const std::string file = device_file(device.name);
    const std::string path = fmt::format("{}/{}", directory, file);
    if (device.kind == ImageDevice::Kind::kEphemeral) {
      TRY(resize_file(path, device.size));
      record.devices.push_back({device.name, {}, true, file});
      continue;
    }
    TRY(check_content(device.content, repo.snapshots()));
    if (is_root && spec.root_device_type == RootDeviceType::kInstanceStore) {
      TRY(restore_file(repo, device.content, device.size, path).with_context(device.name));
      record.devices.push_back({device.name, {}, true, file});
      continue;
    }
    const VolumeRecord volume = TRY(volumes.create({device.content.snapshot,
                                                    device.size,
                                                    spec.shape.name,
                                                    {{kInstanceTag, record.id.text()}},
                                                    spec.owner}));
    record.devices.push_back(
        {device.name, volume.id, device.delete_on_termination && !spec.keep_volumes, {}});
  }
  return {};
}

Status make_boot_files(Repo& repo, const std::string& directory, const MachineSpec& spec,
                       InstanceRecord& record) {
  if (!record.kernel.empty() || !spec.boot.kernel) return {};
  // The record has the bare name: a store that is moved or copied has the file at another path.
  const auto make = [&](const ImageContent& content, const char* name, std::string& file) -> Status {
    TRY(check_content(content, repo.snapshots()));
    TRY(restore_file(repo, content, content.size, directory + "/" + name).with_context(name));
    file = name;
    return {};
  };
  TRY(make(*spec.boot.kernel, kKernelName, record.kernel));
  if (spec.boot.ramdisk) TRY(make(*spec.boot.ramdisk, kRamdiskName, record.initrd));
  if (record.append.empty()) record.append = spec.boot.command_line;
  return {};
}

}  // namespace

Status make_parts(Repo& repo, Volumes& volumes, const Instances& instances, const MachineSpec& spec,
                  InstanceRecord& record) {
  const std::string directory = instances.directory(record.id);
  TRY(make_devices(repo, volumes, directory, spec, record));
  return make_boot_files(repo, directory, spec, record);
}

}  // namespace ashlar
