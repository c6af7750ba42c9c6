// What lies on a disk: its partition table, and what a part of it holds. libblkid says so.
//
// libblkid reads files and devices, not snapshots. So it gets a file in memory of the part's size, with
// holes, into which those places are copied that it looks at: both ends, and the links of a chain of logical
// partitions. A few MiB a part.
#pragma once

#include <string>
#include <vector>

#include "inspect/disk.h"

namespace ashlar {

struct Partition {
  unsigned number = 0;  // as Linux counts
  ByteOffset first;
  ByteCount size;
  std::string type;  // a GUID in small letters, or "0x83"
};

struct PartitionTable {
  std::string type;  // "gpt", "dos", …; empty: none that is known
  std::vector<Partition> partitions;
  std::vector<ByteOffset> links;  // the sectors that announce logical partitions
  // Lines about partitions that the table names and that can't be: past the end of the disk, or too many.
  std::vector<std::string> faults;
};

struct Signature {
  std::string type;   // "ext4", "swap", "LVM2_member", …; empty: none that is known
  std::string label;  // of the file system
  bool is_ambiguous = false;
};

// Errors are of the disk that is read, or of this host; never what the bytes say.
Result<PartitionTable> read_partition_table(const DiskPart& disk);
Result<Signature> find_signature(const DiskPart& part);

}  // namespace ashlar
