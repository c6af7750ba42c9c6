// Header checks: facts about a disk's header that have to hold before QEMU is given the file. It is in the
// format that the person stated, complete in itself, and names no other file of this host; and its tables
// point to no place past the file's end, where QEMU reads zeros (QEMU itself checks vhdx tables). The
// contents of the disk are left to QEMU.
//
// Fields as in QEMU's docs/interop/qcow2.txt, VMware's "Virtual Disk Format 5.0" and Microsoft's "Virtual
// Hard Disk Image Format Specification" of 2006. The checks cover what QEMU 7.2 would act upon.
#pragma once

#include "disk/disk_format.h"
#include "disk/file_range.h"

namespace ashlar {

// Checks the header of a disk. Returns kInvalid for a file of another format or one that depends on other
// files, kUnsupported for a form that this program or QEMU can't read, kCorrupt for damage. The caller puts
// the file's name before the message.
Status check_header(DiskFormat format, const FileRange& disk);

// Parts of check_header(), for its own use.
Status check_vmdk_header(const FileRange& disk);
Status check_vhd_footer(const FileRange& disk);

}  // namespace ashlar
