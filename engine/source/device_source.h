// DeviceSource: a block device, read past the page cache with io_uring, or with pread where io_uring is
// refused.
//
// All of it is data: a device has no map of holes that we could trust (a loop device neither). Its size is
// what can be read: whole logical sectors. The identity is the serial number or unique name that the kernel
// knows, with the partition's number, so that a disk is known again under another name; without one it is the
// device's path.
#pragma once

#include <memory>
#include <string>

#include "source/pread_reader.h"
#include "source/source.h"

namespace ashlar {

Result<std::unique_ptr<Source>> open_device_source(const std::string& path);

// "device:..." as described above, for the block device at `path`.
std::string device_identity(const std::string& path);

// A reader over io_uring; kUnsupported when the host refuses it.
Result<std::unique_ptr<RunReader>> make_uring_reader(std::shared_ptr<const OpenFile> file,
                                                     RunReader::Plan plan);

}  // namespace ashlar
