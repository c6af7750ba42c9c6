#include "source/file_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/interrupted.h"
#include "io/file_use.h"
#include "source/pread_reader.h"

namespace ashlar {
namespace {

constexpr std::uint64_t round_down(std::uint64_t n) { return n / kBlockBytes * kBlockBytes; }
constexpr std::uint64_t round_up(std::uint64_t n) { return round_down(n + kBlockBytes - 1); }

Result<ByteCount> file_size_now(int fd, const std::string& name) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return last_errno(name + ": stat");
  return ByteCount{static_cast<std::uint64_t>(info.st_size)};
}

class FileSource : public Source {
 public:
  FileSource(std::shared_ptr<const OpenFile> file, std::string canonical)
      : file_(std::move(file)),
        canonical_(std::move(canonical)),
        trusted_(holes_can_be_trusted(file_->fd.get())) {}

  SourceType type() const override { return SourceType::kFile; }
  const std::string& name() const override { return file_->name; }
  std::string identity() const override { return "file:" + canonical_; }
  std::optional<ByteCount> size() const override { return file_->size; }
  Result<std::optional<std::vector<SourceExtent>>> changed_extents() override {
    return std::optional<std::vector<SourceExtent>>();
  }
  Result<std::unique_ptr<RunReader>> read(RunReader::Plan plan) override {
    return std::unique_ptr<RunReader>(std::make_unique<PreadReader>(file_, std::move(plan)));
  }
  Result<SourceExtent> next_extent(ByteOffset offset) override;
  Result<std::unique_ptr<Source>> clone() override;

 private:
  Result<std::uint64_t> seek(std::uint64_t offset, int whence);

  std::shared_ptr<const OpenFile> file_;
  std::string canonical_;
  bool trusted_;
};

// Returns where the next data (SEEK_DATA) or hole (SEEK_HOLE) begins; the size of the file when there is
// none. The size is checked after the seek, because a part that was cut off would look like a hole.
Result<std::uint64_t> FileSource::seek(std::uint64_t offset, int whence) {
  const off_t found = ::lseek(file_->fd.get(), static_cast<off_t>(offset), whence);
  const int error_number = errno;
  TRY(check_not_shrunk(*file_));
  if (found >= 0) return std::min(static_cast<std::uint64_t>(found), file_->size.value);
  if (error_number == ENXIO) return file_->size.value;
  if (error_number == EINVAL || error_number == EOPNOTSUPP) {
    trusted_ = false;
    return whence == SEEK_DATA ? offset : file_->size.value;
  }
  return Error::from_errno(error_number, fmt::format("{}: looking for holes at {}", file_->name, offset));
}

Result<SourceExtent> FileSource::next_extent(ByteOffset offset) {
  const std::uint64_t size = file_->size.value;
  CHECK(offset.value < size && offset.value % kBlockBytes == 0);
  if (!trusted_) return SourceExtent{offset, ByteCount{size - offset.value}, SourceState::kData};
  const std::uint64_t data = TRY(seek(offset.value, SEEK_DATA));
  // A block that holds any data is data: its start is rounded down, its end up.
  const std::uint64_t start = data == size ? size : round_down(data);
  if (start > offset.value) {
    return SourceExtent{offset, ByteCount{start - offset.value}, SourceState::kUnallocated};
  }
  const std::uint64_t hole = TRY(seek(data, SEEK_HOLE));
  const std::uint64_t end = std::min(round_up(hole), size);
  return SourceExtent{offset, ByteCount{end - offset.value}, SourceState::kData};
}

Result<std::shared_ptr<OpenFile>> open_file_of(UniqueFd opened, const std::string& path) {
  auto file = std::make_shared<OpenFile>();
  file->name = path;
  file->fd = std::move(opened);
  const int fd = file->fd.get();
  file->size_now = [fd, path] { return file_size_now(fd, path); };
  file->size = TRY(file->size_now());
  if (file->size.value > kMaxVolumeBytes) return invalid(path + ": larger than 64 PiB");
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return file;
}

// Returns whether the error means only that the file must be read without a clone.
bool means_no_clones(int error_number) {
  constexpr std::array kErrors = {EOPNOTSUPP, ENOTTY, EXDEV,  EINVAL, EROFS,
                                  EACCES,     EPERM,  ENOSPC, EDQUOT, EISDIR};
  return std::ranges::find(kErrors, error_number) != kErrors.end();
}

// Clones the file that is open, even when its path leads to another file by this time. The identity stays.
Result<std::unique_ptr<Source>> FileSource::clone() {
  const std::string folder = std::filesystem::path(canonical_).parent_path().string();
  UniqueFd fd(uninterrupted([&] { return ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); }));
  if (!fd.valid() || ::ioctl(fd.get(), FICLONE, file_->fd.get()) != 0) {
    if (means_no_clones(errno)) return unsupported(name() + ": no clone can be made of it");
    return last_errno(name() + ": making a clone of it");
  }
  return std::unique_ptr<Source>(
      std::make_unique<FileSource>(TRY(open_file_of(std::move(fd), name())), canonical_));
}

}  // namespace

Result<std::unique_ptr<Source>> open_file_source(const std::string& path) {
  UniqueFd fd(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
  if (!fd.valid()) return last_errno(path);
  auto file = TRY(open_file_of(std::move(fd), path));
  std::error_code failed;
  const std::filesystem::path canonical = std::filesystem::canonical(path, failed);
  if (failed) return Error::from_errno(failed.value(), path + ": finding its real path");
  return std::unique_ptr<Source>(std::make_unique<FileSource>(std::move(file), canonical.string()));
}

}  // namespace ashlar
