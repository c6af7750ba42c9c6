// Inspect: what a disk image holds, and what of it should not be in the template of a machine.
//
// The disk is read through Disk, a few MiB of it: nothing is mounted. ext2, ext3 and ext4 are looked into by
// the rules of rules.h. What can't be looked into, and could hold anything, is a doubt of its part: other
// file systems, LVM, encrypted disks, rubbish, a journal that was not replayed, damage; and data outside of
// partitions, which is a doubt of the whole disk (part 0). Without doubt are blank parts, swap that holds
// nothing, and partitions that only hold a boot loader.
//
// So a report without findings and doubts says that nothing which the rules name was found where they look.
// Not looked at: free space within file systems; files that no rule leads to; of a file's content more than
// its first kContentBytes; what is compressed or encoded; boot partitions; outside of partitions the first
// MiB, gaps of at most a MiB, and the last 64 KiB.
#pragma once

#include <stop_token>

#include "inspect/disk.h"
#include "inspect/report.h"

namespace ashlar {

// Errors are of reading the disk, of this host, and kCancelled. What the disk says is in the report.
Result<DiskReport> inspect_disk(const Disk& disk, const std::stop_token& stop);

}  // namespace ashlar
