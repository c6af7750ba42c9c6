#include "io/posix_place.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btrfs.h>
#include <linux/types.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/id.h"
#include "base/interrupted.h"
#include "base/unique_fd.h"

namespace ashlar {
namespace {

using Uuid = std::array<std::byte, 16>;

// Newer than the headers of Debian 12: include/uapi/linux/fs.h and fs/ext4/ext4.h of the kernel.
struct GenericUuid {
  __u8 length;
  std::array<std::byte, 16> uuid;
};
struct Ext4Uuid {
  __u32 length;
  __u32 flags;
  std::array<std::byte, 16> uuid;
};
constexpr unsigned long kGetFsUuid = _IOR(0x15, 0, GenericUuid);
constexpr unsigned long kExt4GetFsUuid = _IOR('f', 44, Ext4Uuid);
// struct xfs_fsop_geom_v1 of fs/xfs/libxfs/xfs_fs.h: the UUID follows eight 32-bit and four 64-bit fields.
struct XfsGeometry {
  std::array<__u32, 8> small;
  std::array<__u64, 4> large;
  std::array<std::byte, 16> uuid;
  std::array<__u32, 7> rest;
};
static_assert(sizeof(XfsGeometry) == 112);
constexpr unsigned long kXfsGeometry = _IOR('X', 100, XfsGeometry);

// A subvolume of Btrfs has a UUID of its own: a snapshot of it has the same inodes under another one.
std::optional<Uuid> subvolume_uuid(int fd) {
  btrfs_ioctl_get_subvol_info_args info{};
  if (::ioctl(fd, BTRFS_IOC_GET_SUBVOL_INFO, &info) < 0) return std::nullopt;  // Linux returns 0 or 1
  Uuid uuid{};
  std::memcpy(uuid.data(), info.uuid, uuid.size());
  return uuid == Uuid{} ? std::nullopt : std::optional(uuid);
}

std::optional<Uuid> uuid_of(int fd) {
  if (const auto uuid = subvolume_uuid(fd)) return uuid;
  GenericUuid generic{};
  if (::ioctl(fd, kGetFsUuid, &generic) == 0 && generic.length == 16 && generic.uuid != Uuid{})
    return generic.uuid;
  Ext4Uuid ext4{};
  ext4.length = 16;
  if (::ioctl(fd, kExt4GetFsUuid, &ext4) == 0 && ext4.length == 16 && ext4.uuid != Uuid{}) return ext4.uuid;
  XfsGeometry xfs{};
  if (::ioctl(fd, kXfsGeometry, &xfs) == 0) return xfs.uuid;
  return std::nullopt;
}

Result<std::string> file_system_name(int fd, const std::string& path) {
  if (const auto uuid = uuid_of(fd)) return to_hex(*uuid);
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return last_errno("file system of " + path);
  std::array<std::byte, sizeof info.f_fsid> id{};
  std::memcpy(id.data(), &info.f_fsid, id.size());
  return fmt::format("{:x}-{}", static_cast<unsigned long>(info.f_type), to_hex(id));
}

// Values of statfs(2) and of the kernel's linux/magic.h.
constexpr std::array<unsigned long, 10> kSharedFileSystems = {
    0x6969,      // NFS
    0xff534d42,  // CIFS
    0xfe534d42,  // SMB2
    0x517b,      // SMB
    0x00c36400,  // Ceph
    0x01021997,  // 9P
    0x5346414f,  // AFS
    0x01161970,  // GFS2
    0x7461636f,  // OCFS2
    0x0bd00bd0,  // Lustre
};

}  // namespace

Result<bool> posix_is_shared_by_hosts(const std::string& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return last_errno("file system of " + path);
  const auto type = static_cast<unsigned long>(info.f_type) & 0xffffffffUL;
  return std::ranges::find(kSharedFileSystems, type) != kSharedFileSystems.end();
}

Result<FilePlace> posix_place_of(const std::string& path) {
  const UniqueFd fd(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!fd.valid()) return last_errno("open " + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return last_errno("stat " + path);
  return FilePlace{TRY(file_system_name(fd.get(), path)), info.st_ino};
}

}  // namespace ashlar
