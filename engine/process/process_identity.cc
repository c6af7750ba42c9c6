#include "process/process_identity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/id.h"
#include "io/file_system.h"

namespace ashlar {
namespace {

// Reads the first line of a file of /proc. Such a file has size 0, so it is read to its end; the lines that
// are read here are short.
Result<std::string> read_line(const std::string& path) {
  const auto file = TRY(posix_file_system().open(path, ReadMode::kCached));
  std::array<std::byte, 1024> bytes{};
  const std::size_t size = TRY(file->read_at(0, bytes));
  std::string text(as_text(ByteSpan(bytes).first(size)));
  return text.substr(0, text.find('\n'));
}

Result<std::array<std::byte, 16>> read_boot_id() {
  std::string text = TRY(read_line("/proc/sys/kernel/random/boot_id"));
  std::erase(text, '-');
  std::array<std::byte, 16> id{};
  TRY(from_hex(text, id).with_context("/proc/sys/kernel/random/boot_id"));
  return id;
}

}  // namespace

std::string host_name() {
  std::array<char, 65> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  return name.data();
}

std::string pid_namespace_name() {
  auto machine = read_line("/etc/machine-id");
  std::array<char, 64> pids{};
  if (::readlink("/proc/self/ns/pid", pids.data(), pids.size() - 1) < 0) pids[0] = '\0';
  return fmt::format("{} {} {}", host_name(), machine.ok() ? machine.take().substr(0, 32) : "-", pids.data());
}

std::optional<std::uint64_t> parse_stat_start(const std::string& line) {
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) {
    if (!(fields >> field)) return std::nullopt;
  }
  std::uint64_t start = 0;
  const char* end = field.data() + field.size();
  const auto parsed = std::from_chars(field.data(), end, start);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return start;
}

Result<std::optional<std::uint64_t>> process_start(std::uint32_t pid) {
  const std::string path = fmt::format("/proc/{}/stat", pid);
  auto line = read_line(path);
  if (!line.ok()) {
    // ESRCH means that the process ended between open and read.
    const bool gone = line.error().code() == ErrorCode::kNotFound || line.error().error_number() == ESRCH;
    if (gone) return std::optional<std::uint64_t>();
    return line.take_error();
  }
  // A process that has ended and whose parent has not asked for it yet does nothing any more.
  const std::size_t behind_name = line.value().rfind(") ");
  const char state = behind_name == std::string::npos ? '?' : line.value()[behind_name + 2];
  if (state == 'Z' || state == 'X') return std::optional<std::uint64_t>();
  const auto start = parse_stat_start(line.value());
  if (!start) return Error(ErrorCode::kIo, path + ": no start time in it");
  return start;
}

Result<ProcessIdentity> this_process() {
  ProcessIdentity self;
  self.boot = TRY(read_boot_id());
  self.pid = static_cast<std::uint32_t>(::getpid());
  const auto start = TRY(process_start(self.pid));
  if (!start)
    return Error(ErrorCode::kIo,
                 "/proc does not show this process: is it mounted, and of this pid namespace?");
  self.pid_started = *start;
  return self;
}

}  // namespace ashlar
