// DeviceSource: a block device, read past the page cache with io_uring, or with pread where io_uring is
// refused. Internal to the module.
//
// The whole device is data: no block device, loop devices included, has a map of holes that can be trusted.
// Its size is the readable part: whole logical sectors. The identity is the serial number or unique name that
// the kernel publishes, with the partition's number, so that a disk is recognised under another name; without
// one it is the device's path.
#pragma once

#include <memory>
#include <string>

#include "source/pread_reader.h"
#include "source/source.h"

namespace ashlar {

Result<std::unique_ptr<Source>> open_device_source(const std::string& path);

// Returns "device:..." as described above for the block device at `path`.
std::string device_identity(const std::string& path);

// Creates a reader over io_uring; kUnsupported when the host refuses io_uring.
Result<std::unique_ptr<RunReader>> make_uring_reader(std::shared_ptr<const OpenFile> file,
                                                     RunReader::Plan plan);

}  // namespace ashlar
