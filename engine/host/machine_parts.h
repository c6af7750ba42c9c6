// Machine parts: the volumes and files that a new machine is made of. Internal to the module.
#pragma once

#include "host/machines.h"

namespace ashlar {

// The tag by which a volume names the machine that it was made for.
inline constexpr const char* kInstanceTag = "instance";

// Makes volumes and files of the devices, and the kernel and RAM disk for direct boot, and notes them in
// `record`. What was made before a failure is in the record.
Status make_parts(Repo& repo, Volumes& volumes, const Instances& instances, const MachineSpec& spec,
                  InstanceRecord& record);

}  // namespace ashlar
