#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "io/file_system.h"
#include "io/posix_place.h"
#include "io/posix_random_file.h"
#include "io/posix_reader.h"

namespace ashlar {

namespace {

// Captured disks hold secrets, so files and directories that the engine makes are readable by their owner
// only.
constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;
// Write-back starts after so many bytes, so that the sync at the end finds little to write.
constexpr std::uint64_t kWritebackBytes = std::uint64_t{4} << 20;

Result<UniqueFd> open_fd(const std::string& path, int flags, const char* operation) {
  for (;;) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return last_errno(fmt::format("{} {}", operation, path));
  }
}

class PosixWritableFile : public WritableFile {
 public:
  PosixWritableFile(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Status append(ByteSpan bytes) override {
    TRY(refuse_if_poisoned());
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
      if (written < 0) {
        if (errno == EINTR) continue;
        return poison(last_errno(fmt::format("append {} bytes at {} to {}", bytes.size(), size_, path_)));
      }
      size_ += static_cast<std::uint64_t>(written);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return start_writeback();
  }

  // fdatasync writes the size too; without the size the bytes could not be found.
  Status sync() override {
    TRY(refuse_if_poisoned());
    if (uninterrupted([&] { return ::fdatasync(fd_.get()); }) != 0)
      return poison(last_errno("sync " + path_));
    return {};
  }

 private:
  // Gives the kernel a hint. Only a failure of the medium counts as an error: where the call is not
  // supported, nothing is lost.
  Status start_writeback() {
    if (size_ - kicked_ < kWritebackBytes) return {};
    const auto from = static_cast<off64_t>(kicked_);
    const auto length = static_cast<off64_t>(size_ - kicked_);
    kicked_ = size_;
    if (::sync_file_range(fd_.get(), from, length, SYNC_FILE_RANGE_WRITE) == 0) return {};
    if (errno != EIO && errno != ENOSPC && errno != EDQUOT) return {};
    return poison(last_errno("start writing back " + path_));
  }

  Status refuse_if_poisoned() const {
    if (!poison_) return {};
    return Error(ErrorCode::kIo,
                 fmt::format("{} failed before and takes nothing more ({})", path_, *poison_));
  }

  Error poison(Error error) {
    poison_ = error.text();
    return error;
  }

  UniqueFd fd_;
  std::string path_;
  std::uint64_t size_ = 0;
  std::uint64_t kicked_ = 0;
  std::optional<std::string> poison_;
};

class PosixFileLock : public FileLock {
 public:
  explicit PosixFileLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;
};

// Returns whether `path` leads to the open file. A lock on a file that lost its name excludes no other
// process, so the name is checked after locking.
bool names_this_file(const std::string& path, int fd) {
  struct stat named {};
  struct stat held {};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(fd, &held) == 0 && named.st_dev == held.st_dev &&
         named.st_ino == held.st_ino;
}

// Returns who holds the lock on an open file, for messages: "process 4242", as /proc/locks tells it.
std::string lock_holder(int fd) {
  struct stat held {};
  if (::fstat(fd, &held) != 0) return "another process";
  const std::string inode = fmt::format(":{} ", held.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    // "1: FLOCK  ADVISORY  WRITE 4242 08:01:131 0 EOF"; lines with "->" wait for the lock.
    if (line.find(inode) == std::string::npos || line.find("->") != std::string::npos) continue;
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string advisory;
    std::string mode;
    int pid = 0;
    if (words >> number >> kind >> advisory >> mode >> pid && kind == "FLOCK" && pid > 0)
      return fmt::format("process {}", pid);
  }
  return "another process";
}

class PosixFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<ReadableFile>> open(const std::string& path, ReadMode mode) override {
    return open_posix_reader(path, mode);
  }

  Result<std::unique_ptr<WritableFile>> create(const std::string& path) override {
    UniqueFd fd = TRY(open_fd(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, "create"));
    return std::unique_ptr<WritableFile>(std::make_unique<PosixWritableFile>(std::move(fd), path));
  }

  Result<std::unique_ptr<RandomFile>> create_random(const std::string& path, std::uint64_t bytes) override {
    return open_posix_random(path, bytes);
  }

  Result<std::unique_ptr<RandomFile>> open_random(const std::string& path) override {
    return open_posix_random(path, std::nullopt);
  }

  Status rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    return last_errno(fmt::format("rename {} to {}", from, to));
  }

  Status link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) == 0) return {};
    return last_errno(fmt::format("link {} to {}", from, to));
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) == 0) return {};
    if (errno == EISDIR && ::rmdir(path.c_str()) == 0) return {};
    return last_errno("remove " + path);
  }

  Status make_directory(const std::string& path) override {
    if (::mkdir(path.c_str(), kDirectoryMode) == 0) return {};
    const int error_number = errno;
    struct stat info {};
    if (error_number == EEXIST && ::stat(path.c_str(), &info) == 0)
      return S_ISDIR(info.st_mode) ? Status() : invalid(path + " is a file, not a directory");
    return Error::from_errno(error_number, "make directory " + path);
  }

  Status sync_directory(const std::string& path) override {
    const UniqueFd fd = TRY(open_fd(path, O_RDONLY | O_DIRECTORY, "open directory"));
    if (uninterrupted([&] { return ::fsync(fd.get()); }) == 0) return {};
    // EINVAL means that the file system can't sync directories: its names are durable at once, or never.
    if (errno == EINVAL) return {};
    return last_errno("sync directory " + path);
  }

  Result<std::vector<DirectoryEntry>> list(const std::string& path) override {
    std::error_code failure;
    std::vector<DirectoryEntry> entries;
    do {
      entries.clear();
      auto at = std::filesystem::directory_iterator(path, failure);
      for (; !failure && at != std::filesystem::directory_iterator(); at.increment(failure)) {
        std::error_code gone;
        entries.push_back({at->path().filename().string(), at->is_directory(gone), at->is_symlink(gone)});
      }
    } while (failure == std::errc::interrupted);
    if (failure) return Error::from_errno(failure.value(), "list " + path);
    std::ranges::sort(entries, {}, &DirectoryEntry::name);
    return entries;
  }

  Result<std::uint64_t> file_size(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return last_errno("size of " + path);
    if (S_ISDIR(info.st_mode)) return Error::from_errno(EISDIR, "size of " + path);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<FilePlace> place_of(const std::string& path) override { return posix_place_of(path); }
  Result<bool> is_shared_by_hosts(const std::string& path) override { return posix_is_shared_by_hosts(path); }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    for (;;) {
      UniqueFd fd = TRY(open_fd(path, O_RDWR | O_CREAT | O_NOFOLLOW, "open lock file"));
      if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno == EWOULDBLOCK) return busy(fmt::format("{} is locked by {}", path, lock_holder(fd.get())));
        return last_errno("lock " + path);
      }
      if (!names_this_file(path, fd.get())) continue;
      return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(fd)));
    }
  }
};

}  // namespace

FileSystem& posix_file_system() {
  static PosixFileSystem files;
  return files;
}

}  // namespace ashlar
