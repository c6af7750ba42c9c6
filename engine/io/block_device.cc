#include "io/block_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/checked.h"
#include "base/interrupted.h"
#include "io/file_use.h"
#include "io/posix_reader.h"

namespace ashlar {

namespace {

constexpr std::uint64_t kZeroBufferBytes = std::uint64_t{1} << 20;
constexpr std::uint64_t kMemoryAlignment = 4096;

bool not_supported(int error_number) {
  return error_number == EOPNOTSUPP || error_number == ENOTTY || error_number == ENOSYS ||
         error_number == EINVAL;
}

// The whole sectors within a range.
struct Sectors {
  std::uint64_t first;
  std::uint64_t end;
};
Sectors sectors_inside(std::uint64_t offset, std::uint64_t bytes, std::uint64_t sector) {
  const std::uint64_t first = (offset + sector - 1) / sector * sector;
  return {first, std::max(first, (offset + bytes) / sector * sector)};
}

int range_ioctl(int fd, unsigned long request, std::uint64_t offset, std::uint64_t bytes) {
  std::uint64_t range[2] = {offset, bytes};
  return ::ioctl(fd, request, range);
}

int punch_hole(int fd, std::uint64_t offset, std::uint64_t bytes) {
  return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                     static_cast<off_t>(bytes));
}

}  // namespace

Result<std::unique_ptr<BlockDevice>> BlockDevice::open(const std::string& path, DeviceAccess access) {
  std::unique_ptr<BlockDevice> device(new BlockDevice);
  device->path_ = path;
  TRY(device->open_descriptors(access));
  device->reader_ = TRY(open_posix_reader(path, ReadMode::kDirect));
  if (!device->is_device_ && access == DeviceAccess::kReadWrite) TRY(device->claim_file());
  TRY(device->measure());
  return device;
}

Result<std::unique_ptr<BlockDevice>> BlockDevice::open_own_file(const std::string& path) {
  std::unique_ptr<BlockDevice> device(new BlockDevice);
  device->path_ = path;
  // O_NONBLOCK, because opening a pipe under this name must not block.
  device->fd_.reset(
      uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
  struct stat info {};
  if (device->fd_.valid() && ::fstat(device->fd_.get(), &info) != 0) return last_errno("open " + path);
  const bool odd_name = errno == ELOOP || errno == EISDIR || errno == ENXIO;
  if (!device->fd_.valid() && !odd_name) return last_errno("open " + path);
  if (!S_ISREG(info.st_mode) || info.st_nlink != 1) {
    return invalid(path + " is not a regular file of one name: remove it first");
  }
  device->reader_ = TRY(open_posix_reader(path, ReadMode::kDirect));
  TRY(device->claim_file());
  TRY(device->measure());
  return device;
}

Result<std::unique_ptr<BlockDevice>> BlockDevice::create_file(const std::string& path, ByteCount size) {
  if (size.value > kMaxVolumeBytes)
    return invalid(fmt::format("{}: {} bytes are more than 64 PiB", path, size.value));
  std::unique_ptr<BlockDevice> device(new BlockDevice);
  device->path_ = path;
  device->fd_.reset(
      uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); }));
  if (!device->fd_.valid()) return last_errno("create " + path);
  if (Status made = device->make_file(size); !made.ok()) {
    ::unlink(path.c_str());
    return made.take_error();
  }
  return device;
}

Status BlockDevice::make_file(ByteCount size) {
  TRY(claim_file());
  if (uninterrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size.value)); }) != 0)
    return last_errno(fmt::format("size {} to {} bytes", path_, size.value));
  reader_ = TRY(open_posix_reader(path_, ReadMode::kDirect));
  return measure();
}

// O_EXCL without O_CREAT fails on a device while it is mounted or claimed; on other files it is not defined.
Status BlockDevice::open_descriptors(DeviceAccess access) {
  struct stat info {};
  if (::stat(path_.c_str(), &info) != 0) return last_errno("open " + path_);
  is_device_ = S_ISBLK(info.st_mode);
  if (!is_device_ && !S_ISREG(info.st_mode)) return invalid(path_ + " is neither a block device nor a file");
  const int flags = O_CLOEXEC | (access == DeviceAccess::kRead ? O_RDONLY : O_RDWR);
  const bool exclusive = is_device_ && access == DeviceAccess::kReadWrite;
  fd_.reset(uninterrupted([&] { return ::open(path_.c_str(), flags | (exclusive ? O_EXCL : 0)); }));
  if (!fd_.valid() && errno == EBUSY) return busy(path_ + " is mounted or used by another program");
  if (!fd_.valid()) return last_errno("open " + path_);
  if (!is_device_) return {};
  direct_fd_.reset(uninterrupted([&] { return ::open(path_.c_str(), flags | O_DIRECT); }));
  if (!direct_fd_.valid() && errno != EINVAL) return last_errno("open for direct I/O " + path_);
  return {};
}

// The name is checked under the lock, because the previous holder of the lock may have renamed the file.
Status BlockDevice::claim_file() {
  TRY(check_unlocked(fd_.get(), path_));
  TRY(lock_for_writing(fd_.get(), path_));
  return check_name();
}

Status BlockDevice::check_name() const {
  struct stat held {};
  struct stat named {};
  if (::fstat(fd_.get(), &held) != 0) return last_errno(path_);
  const bool found = ::stat(path_.c_str(), &named) == 0;
  if (found && held.st_dev == named.st_dev && held.st_ino == named.st_ino) return {};
  return busy(path_ + " was renamed, removed or replaced by another program");
}

Status BlockDevice::measure() {
  if (!is_device_) {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return last_errno("size of " + path_);
    size_ = ByteCount{static_cast<std::uint64_t>(info.st_size)};
    holes_trusted_ = holes_can_be_trusted(fd_.get());
    return {};
  }
  std::uint64_t bytes = 0;
  int sector = 0;
  if (::ioctl(fd_.get(), BLKGETSIZE64, &bytes) != 0) return last_errno("size of " + path_);
  if (::ioctl(fd_.get(), BLKSSZGET, &sector) != 0) return last_errno("sector size of " + path_);
  if (sector < 512 || (sector & (sector - 1)) != 0) {
    return unsupported(fmt::format("{} has sectors of {} bytes", path_, sector));
  }
  size_ = ByteCount{bytes};
  sector_bytes_ = static_cast<std::uint64_t>(sector);
  return {};
}

Status BlockDevice::check_range(ByteOffset offset, std::uint64_t bytes) const {
  const auto end = checked_add(offset.value, bytes);
  if (end && *end <= size_.value) return {};
  return invalid(fmt::format("{} bytes at {} do not lie within the {} bytes of {}", bytes, offset.value,
                             size_.value, path_));
}

int BlockDevice::write_fd(ByteOffset offset, ByteSpan bytes) const {
  if (!direct_fd_.valid() || (offset.value | bytes.size()) % sector_bytes_ != 0) return fd_.get();
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes.data()) % kMemoryAlignment == 0;
  return aligned ? direct_fd_.get() : fd_.get();
}

Error BlockDevice::error(int error_number, const char* operation, std::uint64_t offset,
                         std::uint64_t bytes) const {
  return Error::from_errno(error_number,
                           fmt::format("{} {} bytes at {} of {}", operation, bytes, offset, path_));
}

Result<std::size_t> BlockDevice::read(ByteOffset offset, MutableByteSpan out) const {
  return reader_->read_at(offset.value, out);
}

Result<ByteOffset> BlockDevice::next_data(ByteOffset offset) const {
  if (!holes_trusted_) return offset;
  const off_t found = ::lseek(fd_.get(), static_cast<off_t>(offset.value), SEEK_DATA);
  if (found >= 0) return ByteOffset{static_cast<std::uint64_t>(found)};
  if (errno == ENXIO) return ByteOffset{size_.value};
  if (errno == EINVAL || errno == EOPNOTSUPP) return offset;  // the file system has no map of holes
  return last_errno(fmt::format("look for data at {} of {}", offset.value, path_));
}

Status BlockDevice::write(ByteOffset offset, ByteSpan bytes) {
  TRY(check_range(offset, bytes.size()));
  std::uint64_t at = offset.value;
  while (!bytes.empty()) {
    const int fd = write_fd(ByteOffset{at}, bytes);
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return error(errno, "write", at, bytes.size());
    if (written == 0) return error(EIO, "write", at, bytes.size());
    at += static_cast<std::uint64_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status BlockDevice::write_plain_zeroes(std::uint64_t offset, std::uint64_t bytes) {
  if (bytes == 0) return {};
  AlignedBuffer zeros(std::min(bytes, kZeroBufferBytes));
  std::ranges::fill(zeros.span(), std::byte{0});
  for (std::uint64_t done = 0; done < bytes;) {
    const std::uint64_t length = std::min<std::uint64_t>(zeros.size(), bytes - done);
    TRY(write(ByteOffset{offset + done}, zeros.span().first(length)));
    done += length;
  }
  return {};
}

Status BlockDevice::write_zeroes(ByteOffset offset, ByteCount bytes) {
  TRY(check_range(offset, bytes.value));
  const std::uint64_t end = offset.value + bytes.value;
  const auto [first, last] = sectors_inside(offset.value, bytes.value, sector_bytes_);
  if (first == last) return write_plain_zeroes(offset.value, bytes.value);
  const int zeroed = is_device_ ? range_ioctl(fd_.get(), BLKZEROOUT, first, last - first)
                                : punch_hole(fd_.get(), first, last - first);
  if (zeroed != 0) {
    if (!not_supported(errno)) return error(errno, "zero", first, last - first);
    return write_plain_zeroes(offset.value, bytes.value);
  }
  TRY(write_plain_zeroes(offset.value, first - offset.value));
  return write_plain_zeroes(last, end - last);
}

Status BlockDevice::discard(ByteOffset offset, ByteCount bytes) {
  TRY(check_range(offset, bytes.value));
  const auto [first, last] = sectors_inside(offset.value, bytes.value, sector_bytes_);
  if (first == last) return {};
  const int discarded = is_device_ ? range_ioctl(fd_.get(), BLKDISCARD, first, last - first)
                                   : punch_hole(fd_.get(), first, last - first);
  if (discarded == 0) return {};
  if (not_supported(errno)) return unsupported(path_ + " can't discard");
  return error(errno, "discard", first, last - first);
}

Status BlockDevice::sync() {
  if (uninterrupted([&] { return ::fsync(fd_.get()); }) != 0) return last_errno("sync " + path_);
  return {};
}

}  // namespace ashlar
