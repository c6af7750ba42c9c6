#include "host/nbd_device.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "process/background_process.h"
#include "process/host_command.h"
#include "process/process_identity.h"

namespace ashlar {
namespace {

constexpr const char* kLock = "/run/ashlar-nbd.lock";
constexpr double kLockSeconds = 30;
constexpr double kConnectSeconds = 10;
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr unsigned kMaxDevices = 256;

bool exists(const std::string& path) {
  struct stat about {};
  return ::lstat(path.c_str(), &about) == 0;
}

std::string pid_path(const std::string& device) {
  return fmt::format("/sys/block/{}/pid", device.substr(device.rfind('/') + 1));
}

// Reads in one piece: a file of sysfs does not know its size.
Result<std::string> first_line(const std::string& path) {
  const auto file = TRY(posix_file_system().open(path, ReadMode::kCached));
  std::string text(64, '\0');
  text.resize(TRY(file->read_at(0, std::as_writable_bytes(std::span(text)))));
  return text.substr(0, text.find('\n'));
}

}  // namespace

bool has_kernel_nbd() {
  if (exists("/sys/module/nbd")) return true;
  const auto modprobe = find_program("modprobe", "kmod");
  return modprobe.ok() && run_command({modprobe.value(), "-q", "nbd"}).ok() && exists("/sys/module/nbd");
}

Result<std::unique_ptr<FileLock>> lock_nbd_devices() {
  const double deadline = monotonic_seconds() + kLockSeconds;
  while (true) {
    auto held = posix_file_system().lock(kLock);
    if (held.ok() || held.error().code() != ErrorCode::kBusy || monotonic_seconds() > deadline) return held;
    std::this_thread::sleep_for(kPause);
  }
}

Result<std::string> free_nbd_device() {
  for (unsigned number = 0; number < kMaxDevices; ++number) {
    std::string device = fmt::format("/dev/nbd{}", number);
    if (!exists(fmt::format("/sys/block/nbd{}", number))) break;
    if (!exists(pid_path(device))) return device;
  }
  return busy("all devices /dev/nbdN are in use");
}

Result<ProcessIdentity> nbd_client_of(const std::string& device) {
  const std::string text = TRY(first_line(pid_path(device)));
  ProcessIdentity client;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), client.pid);
  if (failed != std::errc() || end != text.data() + text.size() || client.pid == 0)
    return corrupt(fmt::format("{}: '{}' is not a process id", pid_path(device), text));
  client.boot = TRY(this_process()).boot;
  client.pid_started = TRY(process_start(client.pid)).value_or(0);
  return client;
}

Result<ProcessIdentity> wait_for_nbd_client(const std::string& device) {
  const double deadline = monotonic_seconds() + kConnectSeconds;
  while (true) {
    auto client = nbd_client_of(device);
    if (client.ok() || client.error().code() != ErrorCode::kNotFound) return client;
    if (monotonic_seconds() > deadline) return Error(ErrorCode::kIo, device + " was not connected");
    std::this_thread::sleep_for(kPause);
  }
}

Result<bool> is_nbd_client_of(const ProcessIdentity& noted, const std::string& device) {
  // Devices get new names after a reboot.
  if (TRY(this_process()).boot != noted.boot) return false;
  const auto now = nbd_client_of(device);
  if (is(now, ErrorCode::kNotFound)) return false;
  if (!now.ok()) return now.error();
  if (noted.pid == 0) {
    return busy(
        fmt::format("an attachment was interrupted, and {} may belong to it: disconnect the device "
                    "(nbd-client -d {}) if it shows this volume, and remove the note",
                    device, device));
  }
  // A client that has ended has no start time to compare.
  const bool comparable = noted.pid_started != 0 && now.value().pid_started != 0;
  return now.value().pid == noted.pid && (!comparable || now.value().pid_started == noted.pid_started);
}

}  // namespace ashlar
