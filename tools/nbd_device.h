// The kernel's NBD devices, /dev/nbdN.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "document/instance_record.h"
#include "io/file_system.h"

namespace ashlar {

// Whether the kernel has, or can load, its NBD client.
bool has_kernel_nbd();

// Held while a free device is chosen and connected, by whoever does so on this host, for any store. Waits;
// kBusy when it takes too long.
Result<std::unique_ptr<FileLock>> lock_nbd_devices();
Result<std::string> free_nbd_device();

// The client of a connected device. Its start time is 0 when it has ended: it hands the connection over to
// the kernel. kNotFound when the device is not connected.
Result<ProcessIdentity> nbd_client_of(const std::string& device);
// The same, once a client that has just been started has connected the device.
Result<ProcessIdentity> wait_for_nbd_client(const std::string& device);
// Whether the device is still connected by the client that was noted. kBusy when that can't be told: none was
// noted, and somebody's is there.
Result<bool> is_nbd_client_of(const ProcessIdentity& noted, const std::string& device);

}  // namespace ashlar
