#include "input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace ashlar {

Result<std::string> read_input(const std::string& file, std::size_t limit) {
  UniqueFd opened;
  if (file != "-") {
    opened = UniqueFd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened.valid()) return last_errno(file);
  }
  const int fd = opened.valid() ? opened.get() : STDIN_FILENO;
  std::string text(limit + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd, text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_errno(file);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > limit) return invalid(fmt::format("{} has more than {} bytes", file, limit));
  text.resize(size);
  return text;
}

}  // namespace ashlar
