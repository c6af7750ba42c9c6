// Loop devices of this host, and making sure that nothing uses a block device. Internal to the module.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ashlar {

// Returns the path of the file under a loop device; empty when it has none.
std::string backing_file(const std::string& device);
// Returns the loop devices ("/dev/loop3") over a file.
std::vector<std::string> loops_over(const std::string& file);
// Writes back what the kernel holds of a block device. Fails with kBusy while the device is mounted or
// claimed.
Status settle_device(const std::string& device);

}  // namespace ashlar
