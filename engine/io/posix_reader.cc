#include "io/posix_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/checked.h"

namespace ashlar {

namespace {

constexpr std::uint64_t kDirectAlignment = 4096;
constexpr std::uint64_t kBounceBytes = std::uint64_t{1} << 20;

constexpr std::uint64_t align_down(std::uint64_t n) { return n & ~(kDirectAlignment - 1); }
constexpr std::uint64_t align_up(std::uint64_t n) { return align_down(n + kDirectAlignment - 1); }

bool aligned(std::uint64_t offset, ByteSpan bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  return (offset | bytes.size() | address) % kDirectAlignment == 0;
}

int open_retrying(const std::string& path, int flags) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_RDONLY | O_CLOEXEC);
    if (fd >= 0 || errno != EINTR) return fd;
  }
}

class PosixReadableFile : public ReadableFile {
 public:
  PosixReadableFile(UniqueFd fd, std::string path, ReadMode mode, bool direct)
      : fd_(std::move(fd)), path_(std::move(path)), mode_(mode), direct_(direct) {}

  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    const auto end = checked_add<std::uint64_t>(offset, out.size());
    if (!end || *end > kMaxFileBytes) {
      return invalid(fmt::format("read {} bytes at {} of {}: past any file", out.size(), offset, path_));
    }
    if (mode_ == ReadMode::kCached) return read_fully(offset, out);
    if (direct_.load(std::memory_order_relaxed)) {
      auto read = aligned(offset, out) ? read_fully(offset, out) : read_bounced(offset, out);
      if (read.ok() || read.error().error_number() != EINVAL) return read;
      TRY(give_up_direct());
    }
    // Both ends are rounded to whole pages: the kernel keeps pages that the range covers in part.
    const std::uint64_t first = align_down(offset);
    ::posix_fadvise(fd_.get(), static_cast<off_t>(first), static_cast<off_t>(align_up(*end) - first),
                    POSIX_FADV_DONTNEED);
    return read_fully(offset, out);
  }

  Result<std::uint64_t> size() const override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return last_errno("size of " + path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  static constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 62;

  Result<std::size_t> read_fully(std::uint64_t offset, MutableByteSpan out) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t read =
          ::pread(fd_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (read == 0) break;
      if (read < 0) {
        if (errno == EINTR) continue;
        return last_errno(fmt::format("read {} bytes at {} of {}", out.size(), offset, path_));
      }
      const std::size_t before = std::exchange(done, done + static_cast<std::size_t>(read));
      if (!direct_.load(std::memory_order_relaxed) || done % kDirectAlignment == 0) continue;
      // A direct read stopped inside a sector: at the end of the file, or because it was cut short. To read
      // on from there is EINVAL, so a read that was cut short goes on from the beginning of that sector.
      if (offset + done >= TRY(size())) break;
      done -= done % kDirectAlignment;
      if (done == before) return Error::from_errno(EINVAL, "direct reads of " + path_ + " stop short");
    }
    return done;
  }

  Result<std::size_t> read_bounced(std::uint64_t offset, MutableByteSpan out) const {
    const std::uint64_t whole = align_up(offset + out.size()) - align_down(offset);
    AlignedBuffer bounce(std::min(whole, kBounceBytes));
    std::size_t done = 0;
    while (done < out.size()) {
      const std::uint64_t at = offset + done;
      const std::uint64_t from = align_down(at);
      const std::uint64_t wanted =
          std::min<std::uint64_t>(align_up(offset + out.size()) - from, bounce.size());
      const std::size_t read = TRY(read_fully(from, bounce.span().first(wanted)));
      const std::size_t skipped = at - from;
      if (read <= skipped) break;
      const std::size_t useful = std::min(read - skipped, out.size() - done);
      std::memcpy(out.data() + done, bounce.data() + skipped, useful);
      done += useful;
      if (read < wanted) break;
    }
    return done;
  }

  // Leaves direct mode: some file systems accept the flag at open and refuse the read.
  Status give_up_direct() const {
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags & ~O_DIRECT) != 0) {
      return last_errno("leave direct mode of " + path_);
    }
    direct_.store(false, std::memory_order_relaxed);
    return {};
  }

  UniqueFd fd_;
  std::string path_;
  ReadMode mode_;
  mutable std::atomic<bool> direct_;
};

}  // namespace

Result<std::unique_ptr<ReadableFile>> open_posix_reader(const std::string& path, ReadMode mode) {
  bool direct = mode == ReadMode::kDirect;
  UniqueFd fd(open_retrying(path, direct ? O_DIRECT : 0));
  if (!fd.valid() && direct && errno == EINVAL) {
    direct = false;
    fd.reset(open_retrying(path, 0));
  }
  if (!fd.valid()) return last_errno("open " + path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return last_errno("open " + path);
  if (S_ISDIR(info.st_mode)) return Error::from_errno(EISDIR, "open " + path);
  return std::unique_ptr<ReadableFile>(
      std::make_unique<PosixReadableFile>(std::move(fd), path, mode, direct));
}

std::unique_ptr<ReadableFile> posix_reader_of(UniqueFd fd, std::string path) {
  return std::make_unique<PosixReadableFile>(std::move(fd), std::move(path), ReadMode::kCached, false);
}

}  // namespace ashlar
