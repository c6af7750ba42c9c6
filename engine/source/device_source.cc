#include "source/device_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/interrupted.h"

namespace ashlar {
namespace {

Result<ByteCount> device_size_now(int fd, const std::string& name) {
  std::uint64_t bytes = 0;
  int sector_bytes = 512;
  if (::ioctl(fd, BLKGETSIZE64, &bytes) != 0) return last_errno(name + ": asking for its size");
  if (::ioctl(fd, BLKSSZGET, &sector_bytes) != 0 || sector_bytes <= 0) {
    return last_errno(name + ": asking for its sector size");
  }
  // A loop device with 4096-byte sectors may report a size that ends inside a sector; no read can reach that
  // part.
  return ByteCount{bytes - bytes % static_cast<unsigned>(sector_bytes)};
}

class DeviceSource : public Source {
 public:
  DeviceSource(std::shared_ptr<const OpenFile> file, std::string identity)
      : file_(std::move(file)), identity_(std::move(identity)) {}

  SourceType type() const override { return SourceType::kDevice; }
  const std::string& name() const override { return file_->name; }
  std::string identity() const override { return identity_; }
  std::optional<ByteCount> size() const override { return file_->size; }
  Result<SourceExtent> next_extent(ByteOffset offset) override {
    CHECK(offset.value < file_->size.value && offset.value % kBlockBytes == 0);
    return SourceExtent{offset, file_->size - ByteCount{offset.value}, SourceState::kData};
  }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    Result<std::unique_ptr<RunReader>> reader = make_uring_reader(file_, plan);
    if (reader.ok() || reader.error().code() != ErrorCode::kUnsupported) return reader;
    return std::unique_ptr<RunReader>(std::make_unique<PreadReader>(file_, std::move(plan)));
  }

 private:
  std::shared_ptr<const OpenFile> file_;
  std::string identity_;
};

}  // namespace

Result<std::unique_ptr<Source>> open_device_source(const std::string& path) {
  auto file = std::make_shared<OpenFile>();
  file->name = path;
  file->fd.reset(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC); }));
  // Some drivers do not support direct I/O; through the page cache the bytes are the same.
  if (!file->fd.valid() && errno == EINVAL)
    file->fd.reset(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!file->fd.valid()) return last_errno(path);
  const int fd = file->fd.get();
  file->size_now = [fd, path] { return device_size_now(fd, path); };
  file->size = TRY(file->size_now());
  if (file->size.value > kMaxVolumeBytes) return invalid(path + ": larger than 64 PiB");
  return std::unique_ptr<Source>(std::make_unique<DeviceSource>(std::move(file), device_identity(path)));
}

}  // namespace ashlar
