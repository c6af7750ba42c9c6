// LoopDevice: a loop device over a file, for tests that need a real block device. Needs root and
// /dev/loop-control.
#pragma once

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <memory>
#include <string>

#include "base/unique_fd.h"

namespace ashlar {

class LoopDevice {
 public:
  // Attaches a loop device to `file`. Returns null when this host allows none.
  static std::unique_ptr<LoopDevice> over(const std::string& file, unsigned sector_bytes = 512) {
    const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    const UniqueFd backing(::open(file.c_str(), O_RDWR | O_CLOEXEC));
    if (!control.valid() || !backing.valid()) return nullptr;
    for (int tries = 0; tries < 20; ++tries) {
      const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
      if (number < 0) return nullptr;
      std::string path = "/dev/loop" + std::to_string(number);
      UniqueFd device(::open(path.c_str(), O_RDWR | O_CLOEXEC));
      loop_config config{};
      config.fd = static_cast<unsigned>(backing.get());
      config.block_size = sector_bytes;
      // Another process may have taken the number since it was asked for: then try the next one.
      if (!device.valid() || ::ioctl(device.get(), LOOP_CONFIGURE, &config) != 0) continue;
      return std::unique_ptr<LoopDevice>(new LoopDevice(std::move(path), std::move(device)));
    }
    return nullptr;
  }
  ~LoopDevice() { ::ioctl(device_.get(), LOOP_CLR_FD); }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const { return path_; }

 private:
  LoopDevice(std::string path, UniqueFd device) : path_(std::move(path)), device_(std::move(device)) {}
  std::string path_;
  UniqueFd device_;
};

}  // namespace ashlar
