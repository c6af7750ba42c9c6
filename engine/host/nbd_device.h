// NBD devices: the kernel's NBD devices, /dev/nbdN. Internal to the module.
#pragma once

#include <memory>
#include <string>

#include "io/file_system.h"
#include "process/process_identity.h"

namespace ashlar {

// Returns whether the kernel has, or can load, its NBD client.
bool has_kernel_nbd();

// Locks the choice of a device, for all stores of this host: held while a free device is chosen and
// connected. Waits, and fails with kBusy when that takes too long.
Result<std::unique_ptr<FileLock>> lock_nbd_devices();
Result<std::string> free_nbd_device();

// Returns the client of a connected device. Its start time is 0 when it has ended: it hands the connection
// over to the kernel. Fails with kNotFound when the device is not connected.
Result<ProcessIdentity> nbd_client_of(const std::string& device);
// Does the same, and waits until a client that was just started has connected the device.
Result<ProcessIdentity> wait_for_nbd_client(const std::string& device);
// Returns whether the device is still connected by the client that was noted. Fails with kBusy when that
// can't be told: none was noted, and the device has a client.
Result<bool> is_nbd_client_of(const ProcessIdentity& noted, const std::string& device);

}  // namespace ashlar
