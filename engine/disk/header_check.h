// What has to be known of a disk's header before QEMU is given the file: that it is in the format that the
// person stated, whole in itself, and names no other file of this host; and that its tables lead to nothing
// behind its end, where QEMU reads zeros (vhdx: QEMU looks itself). What the disk holds is QEMU's matter.
//
// Fields as in QEMU's docs/interop/qcow2.txt, VMware's "Virtual Disk Format 5.0" and Microsoft's "Virtual
// Hard Disk Image Format Specification" of 2006. What is looked at is what QEMU 7.2 would act upon.
#pragma once

#include "disk/disk_format.h"
#include "disk/file_range.h"

namespace ashlar {

// kInvalid for a file of another format or one that leans on other files, kUnsupported for what this program
// or QEMU has no way to read, kCorrupt for one that is known to be damaged. Messages go behind the file's
// name.
Status check_header(DiskFormat format, const FileRange& disk);

// Called by check_header().
Status check_vmdk_header(const FileRange& disk);
Status check_vhd_footer(const FileRange& disk);

}  // namespace ashlar
