#include "restore/target.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "io/file_system.h"

namespace ashlar {
namespace {

struct ProbeCloser {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};

// Returns the signature that libblkid finds on the target, such as "ext4" or "gpt"; empty when it finds none.
Result<std::string> known_signature(const std::string& path) {
  const std::unique_ptr<std::remove_pointer_t<blkid_probe>, ProbeCloser> probe(
      blkid_new_probe_from_filename(path.c_str()));
  if (!probe) return last_errno(fmt::format("{}: probe", path));
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_MAGIC);
  blkid_probe_enable_partitions(probe.get(), 1);
  const int found = blkid_do_fullprobe(probe.get());
  if (found < 0) return Error(ErrorCode::kIo, fmt::format("{}: can't tell whether it is in use", path));
  if (found != 0) return std::string();
  const char* type = nullptr;
  for (const char* key : {"TYPE", "PTTYPE"}) {
    if (blkid_probe_lookup_value(probe.get(), key, &type, nullptr) == 0) return std::string(type);
  }
  return std::string("something");
}

Result<std::unique_ptr<BlockDevice>> open_existing(const std::string& path, ByteCount size, bool force) {
  auto device = TRY(BlockDevice::open(path, DeviceAccess::kReadWrite));
  if (device->size() < size) {
    return invalid(fmt::format("{} has {} bytes, the snapshot needs {}: give a larger target", path,
                               device->size().value, size.value));
  }
  if (!force && device->size().value > 0) {
    const std::string signature = TRY(known_signature(path));
    if (!signature.empty()) {
      return busy(fmt::format("{} holds {}", path, signature)).about(ErrorKind::kTargetHasData, path);
    }
  }
  return device;
}

// Returns whether the name exists, even as a dangling symbolic link.
bool exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

// Returns whether a file would be created in /dev: a mistyped device must not become a file in memory.
// /dev/shm is meant for files.
bool lies_in_dev(const std::string& path) {
  const std::string whole = std::filesystem::absolute(path).lexically_normal().string();
  return whole.starts_with("/dev/") && !whole.starts_with("/dev/shm/");
}

}  // namespace

std::string partial_name(const std::string& path) { return path + ".ashlar-partial"; }

Target::Target(std::string path, std::unique_ptr<BlockDevice> device)
    : path_(std::move(path)), device_(std::move(device)) {
  // Several threads write well to files with plain calls; for devices a queue in the kernel is faster.
  QueueOptions options;
  options.io_uring = device_->is_device();
  writer_ = std::make_unique<QueuedWriter>(*device_, options);
}

Result<std::unique_ptr<Target>> Target::open(const std::string& path, ByteCount size, bool force) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return last_errno(path);
    if (path.empty()) return invalid("the target has no name");
    if (exists(path)) return invalid(path + " is a symbolic link to nothing: remove it, or name a new file");
    if (lies_in_dev(path)) return not_found(path + ": no such device, and files are not made below /dev");
    return open_new(path, size);
  }
  auto device = TRY(open_existing(path, size, force));
  return std::unique_ptr<Target>(new Target(path, std::move(device)));
}

Result<std::unique_ptr<Target>> Target::open_new(const std::string& path, ByteCount size) {
  const std::string partial = partial_name(path);
  auto device = BlockDevice::create_file(partial, size);
  const bool resumed = !device.ok() && device.error().error_number() == EEXIST;
  if (resumed) device = BlockDevice::open_own_file(partial);
  auto opened = TRY(std::move(device));
  // A restore that was killed before it gave the file its size left nothing in it.
  if (resumed && opened->size().value == 0 && size.value > 0) {
    opened.reset();  // it has the size that it was opened with
    if (::truncate(partial.c_str(), static_cast<off_t>(size.value)) != 0) return last_errno(partial);
    opened = TRY(BlockDevice::open_own_file(partial));
  }
  // Another restore may have ended between the first check of the name and the lock.
  if (exists(path)) {
    if (!resumed) ::unlink(partial.c_str());
    return busy(path + " was made by another program just now");
  }
  std::unique_ptr<Target> target(new Target(path, std::move(opened)));
  if (target->size() != size) {
    return busy(fmt::format("{} was left by a restore of another snapshot: remove it first", partial));
  }
  target->is_blank_ = !resumed;
  target->is_resumed_ = resumed;
  target->is_partial_ = true;
  return target;
}

Result<std::unique_ptr<Target>> Target::open_to_compare(const std::string& path) {
  auto device = TRY(BlockDevice::open(path, DeviceAccess::kRead));
  return std::unique_ptr<Target>(new Target(path, std::move(device)));
}

Status Target::write(ByteOffset offset, ByteSpan bytes, std::shared_ptr<const void> owner) {
  return writer_->submit(offset, bytes, std::move(owner));
}

Status Target::sync() {
  TRY(writer_->drain());
  return device_->sync();
}

Status Target::finish() {
  TRY(sync());
  if (!is_partial_) return {};
  // The partial file may have been removed, and another restore may be writing a file of that name.
  TRY(device_->check_name());
  if (::renameat2(AT_FDCWD, partial_name(path_).c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    return last_errno(fmt::format("rename {} to {}", partial_name(path_), path_));
  }
  is_partial_ = false;
  return posix_file_system().sync_directory(folder_of(path_));
}

}  // namespace ashlar
