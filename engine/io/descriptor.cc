#include "io/descriptor.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace ashlar {

Status write_all(int fd, ByteSpan bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return last_errno("write to " + what);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Result<std::size_t> read_full(int fd, MutableByteSpan out, const std::string& what) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    const ssize_t got = ::read(fd, out.data() + filled, out.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_errno("read " + what);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

Result<std::string> read_all(int fd, std::size_t limit, const std::string& what) {
  std::string text;
  std::array<char, 16384> part{};
  for (;;) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_errno("read " + what);
    if (got == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > limit) return invalid(fmt::format("{} is larger than {} bytes", what, limit));
  }
}

}  // namespace ashlar
