// Inspect: finds what should not be in the template of a machine on a disk image.
//
// The disk is read through Disk, a few MiB of it; it is not mounted. ext2, ext3 and ext4 are looked into by
// the rules of rules.h. A part that can't be looked into, and could hold anything, gets a doubt: other file
// systems, LVM, encrypted disks, unknown data, a journal that was not replayed, damage. Data outside of
// partitions is a doubt of the whole disk (part 0). Blank parts, unused swap, and partitions that only hold a
// boot loader get no doubt.
//
// So a report without findings and doubts says that the files which the rules name were not found where the
// rules look. Not looked at: free space within file systems; files that no rule leads to; of a file's content
// more than its first kContentBytes; compressed or encoded content; boot partitions; outside of partitions
// the first MiB, gaps of at most a MiB, and the last 64 KiB.
#pragma once

#include <stop_token>

#include "inspect/disk.h"
#include "inspect/report.h"

namespace ashlar {

// Inspects a disk. Returns errors of reading the disk and of this host, and kCancelled; faults in the disk's
// bytes are in the report.
Result<DiskReport> inspect_disk(const Disk& disk, const std::stop_token& stop);

}  // namespace ashlar
