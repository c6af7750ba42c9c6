#include "io/posix_random_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <system_error>

#include "base/checked.h"
#include "base/interrupted.h"
#include "base/unique_fd.h"

namespace ashlar {

namespace {

constexpr mode_t kFileMode = 0600;
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 62;
constexpr std::size_t kZeroPieceBytes = std::size_t{256} << 10;

bool not_supported(int error_number) { return error_number == EOPNOTSUPP || error_number == ENOSYS; }

class PosixRandomFile : public RandomFile {
 public:
  PosixRandomFile(UniqueFd fd, std::string path, std::uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    std::size_t done = 0;
    while (done < out.size() && offset < kMaxFileBytes) {
      const ssize_t read =
          ::pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (read == 0) break;
      if (read < 0) {
        if (errno == EINTR) continue;
        return failure("read", offset, out.size());
      }
      done += static_cast<std::size_t>(read);
    }
    return done;
  }

  Status write_at(std::uint64_t offset, ByteSpan bytes) override {
    TRY(usable(offset, bytes.size()));
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t written =
          ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
      if (written < 0) {
        if (errno == EINTR) continue;
        return failure("write", offset, bytes.size());
      }
      done += static_cast<std::size_t>(written);
    }
    return {};
  }

  Status zero(std::uint64_t offset, std::uint64_t bytes, ZeroSpace space) override {
    TRY(usable(offset, bytes));
    const int mode = space == ZeroSpace::kFree ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
    if (bytes == 0 || fallocate(mode, offset, bytes)) return {};
    if (!not_supported(errno)) return failure("zero", offset, bytes);
    return write_zeros(offset, bytes);
  }

  Status allocate(std::uint64_t offset, std::uint64_t bytes) override {
    TRY(usable(offset, bytes));
    if (bytes == 0 || fallocate(0, offset, bytes) || not_supported(errno)) return {};
    return failure("reserve", offset, bytes);
  }

  Status resize(std::uint64_t bytes) override {
    TRY(usable(0, 0));
    if (bytes > kMaxFileBytes ||
        uninterrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(bytes)); }) != 0) {
      return Error::from_errno(bytes > kMaxFileBytes ? EFBIG : errno,
                               fmt::format("resize {} to {} bytes", path_, bytes));
    }
    size_ = bytes;
    return {};
  }

  // fdatasync also writes what is needed to find the bytes: size, extents and holes.
  Status sync() override {
    TRY(usable(0, 0));
    if (uninterrupted([&] { return ::fdatasync(fd_.get()); }) == 0) return {};
    poison_ = errno;
    return Error::from_errno(poison_, "sync " + path_);
  }

  Result<std::uint64_t> size() const override { return size_.load(); }

 private:
  Status usable(std::uint64_t offset, std::uint64_t bytes) const {
    if (poison_ != 0) {
      return Error(ErrorCode::kIo, fmt::format("{}: a sync failed before ({}); it takes nothing more", path_,
                                               std::generic_category().message(poison_)));
    }
    const auto end = checked_add(offset, bytes);
    if (!end || *end > size_) {
      return invalid(fmt::format("{} bytes at {} of {}: past its end", bytes, offset, path_));
    }
    return {};
  }

  bool fallocate(int mode, std::uint64_t offset, std::uint64_t bytes) {
    for (;;) {
      const int done = ::fallocate(fd_.get(), mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                                   static_cast<off_t>(bytes));
      if (done == 0 || errno != EINTR) return done == 0;
    }
  }

  Status write_zeros(std::uint64_t offset, std::uint64_t bytes) {
    const ByteVector zeros(std::min<std::uint64_t>(bytes, kZeroPieceBytes));
    for (std::uint64_t done = 0; done < bytes; done += zeros.size()) {
      const std::uint64_t piece = std::min<std::uint64_t>(bytes - done, zeros.size());
      TRY(write_at(offset + done, ByteSpan(zeros).first(piece)));
    }
    return {};
  }

  Error failure(const char* what, std::uint64_t offset, std::uint64_t bytes) const {
    return last_errno(fmt::format("{} {} bytes at {} of {}", what, bytes, offset, path_));
  }

  UniqueFd fd_;
  std::string path_;
  std::atomic<std::uint64_t> size_;
  std::atomic<int> poison_{0};  // the error of the sync that failed; 0: none has
};

int open_retrying(const std::string& path, int flags) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, kFileMode);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

}  // namespace

Result<std::unique_ptr<RandomFile>> open_posix_random(const std::string& path,
                                                      std::optional<std::uint64_t> new_bytes) {
  UniqueFd fd(open_retrying(path, new_bytes ? O_CREAT | O_EXCL : 0));
  if (!fd.valid()) return last_errno((new_bytes ? "create " : "open ") + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return last_errno("open " + path);
  if (!S_ISREG(info.st_mode)) return Error::from_errno(EINVAL, "open " + path + ": not a regular file");
  auto file =
      std::make_unique<PosixRandomFile>(std::move(fd), path, static_cast<std::uint64_t>(info.st_size));
  if (new_bytes) {
    if (Status sized = file->resize(*new_bytes); !sized.ok()) {
      ::unlink(path.c_str());
      return sized.take_error();
    }
  }
  return std::unique_ptr<RandomFile>(std::move(file));
}

}  // namespace ashlar
