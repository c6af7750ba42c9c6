// Machine: starting and ending the QEMU process of an instance. Callers hold the instance's lock.
#pragma once

#include <string_view>
#include <vector>

#include "machine/command_line.h"
#include "machine/instances.h"

namespace ashlar {

// Starts QEMU on exports that are being served, and returns when it runs. The record is saved with the new
// process before QEMU does anything. On failure no process is left, and the message ends with QEMU's own.
// `preference` is an accelerator for records that say "auto"; when it is empty, QEMU is started with TCG when
// it does not start with KVM.
Status start_machine(Instances& instances, InstanceRecord& record, std::vector<NbdExport> exports,
                     std::string_view preference);

// Presses the power button; the guest decides what follows. Succeeds when the machine does not run.
Status press_power_button(const Instances& instances, const InstanceRecord& record);

// Ends the process of the record: asks QEMU to quit, then kills it. Data that the guest flushed stays.
// Returns kBusy when even SIGKILL does not end it, as when it hangs in the kernel.
Status end_machine(const Instances& instances, const InstanceRecord& record);

}  // namespace ashlar
