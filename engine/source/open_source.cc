#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "source/device_source.h"
#include "source/file_source.h"
#include "source/nbd_source.h"
#include "source/source.h"
#include "source/stream_source.h"

namespace ashlar {
namespace {

bool is_nbd_uri(std::string_view spec) {
  constexpr std::array<std::string_view, 6> kSchemes = {
      "nbd:", "nbds:", "nbd+unix:", "nbds+unix:", "nbd+vsock:", "nbds+vsock:"};
  for (const std::string_view scheme : kSchemes) {
    if (spec.starts_with(scheme)) return true;
  }
  return false;
}

Result<std::unique_ptr<Source>> open_standard_input(std::optional<ByteCount> expected) {
  UniqueFd fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  if (!fd.valid()) return last_errno("standard input");
  return make_stream_source(std::move(fd), "standard input", expected);
}

Result<std::unique_ptr<Source>> open_path(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return last_errno(path);
  if (S_ISREG(info.st_mode)) return open_file_source(path);
  if (S_ISBLK(info.st_mode)) return open_device_source(path);
  if (S_ISDIR(info.st_mode)) return invalid(path + ": is a directory; give a disk image or a block device");
  if (S_ISFIFO(info.st_mode))
    return invalid(path + ": is a pipe; redirect it to standard input and give \"-\"");
  return invalid(path + ": is neither a regular file nor a block device");
}

}  // namespace

Result<std::unique_ptr<Source>> open_source(const std::string& spec, const SourceOptions& options) {
  if (!is_nbd_uri(spec) && !options.dirty_bitmap.empty()) {
    return invalid(fmt::format("{}: only an NBD source has dirty bitmaps", spec));
  }
  if (spec == "-") return open_standard_input(options.expected_bytes);
  if (is_nbd_uri(spec)) return open_nbd_source(spec, options);
  return open_path(spec);
}

}  // namespace ashlar
