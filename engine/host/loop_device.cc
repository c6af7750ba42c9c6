#include "host/loop_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/interrupted.h"
#include "base/unique_fd.h"
#include "io/file_system.h"

namespace ashlar {
namespace {

constexpr std::size_t kMaxPathBytes = 4096;

std::string name_of(const std::string& device) { return device.substr(device.rfind('/') + 1); }

}  // namespace

std::string backing_file(const std::string& device) {
  const std::string path = fmt::format("/sys/block/{}/loop/backing_file", name_of(device));
  const auto file = posix_file_system().open(path, ReadMode::kCached);
  if (!file.ok()) return {};
  std::string text(kMaxPathBytes, '\0');
  const auto got = file.value()->read_at(0, std::as_writable_bytes(std::span(text)));
  if (!got.ok()) return {};
  text.resize(got.value());
  return text.substr(0, text.find('\n'));
}

std::vector<std::string> loops_over(const std::string& file) {
  std::vector<std::string> devices;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block", failed)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("loop") && backing_file(name) == file) devices.push_back("/dev/" + name);
  }
  return devices;
}

Status settle_device(const std::string& device) {
  const UniqueFd fd(uninterrupted([&] { return ::open(device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC); }));
  if (!fd.valid() && errno == EBUSY) return busy(device + " is in use: unmount it first");
  if (!fd.valid()) return last_errno(device);
  if (uninterrupted([&] { return ::fsync(fd.get()); }) != 0)
    return last_errno(device + ": what was written last is lost");
  return {};
}

}  // namespace ashlar
