// Starting and ending the QEMU process of an instance. Callers hold the instance's lock.
#pragma once

#include <string_view>
#include <vector>

#include "machine/command_line.h"
#include "machine/instances.h"

namespace ashlar {

// Starts QEMU on exports that are being served, and returns when it runs. The record is saved with the new
// process before QEMU does anything. On failure nothing runs, and the message ends with what QEMU said.
// `preference` is an accelerator for records that say "auto"; empty: none, and QEMU is started with TCG when
// it does not start with KVM.
Status start_machine(Instances& instances, InstanceRecord& record, std::vector<NbdExport> exports,
                     std::string_view preference);

// Presses the power button; what follows is up to the guest. Ok when it does not run any more.
Status press_power_button(const Instances& instances, const InstanceRecord& record);

// The process of the record ends: QEMU is told to, then made to. What the guest flushed stays. kBusy when
// even SIGKILL does not end it, as when it hangs in the kernel.
Status end_machine(const Instances& instances, const InstanceRecord& record);

}  // namespace ashlar
