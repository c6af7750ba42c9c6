// Signatures: the partition table of a disk and the kind of content of its parts, as libblkid recognizes
// them. Internal to the module.
//
// libblkid reads files and devices, not snapshots. So it gets a file in memory of the part's size, with
// holes, into which the places that it looks at are copied: both ends, and the links of a chain of logical
// partitions. That is a few MiB a part.
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
  std::string type;  // "gpt", "dos", …; empty when none is recognized
  std::vector<Partition> partitions;
  std::vector<ByteOffset> links;  // the sectors that announce logical partitions
  // Lines about partitions that the table names and that can't exist: past the end of the disk, or too many.
  std::vector<std::string> faults;
};

struct Signature {
  std::string type;   // "ext4", "swap", "LVM2_member", …; empty when none is recognized
  std::string label;  // label of the file system
  bool is_ambiguous = false;
};

// Reads the partition table of a disk; find_signature() recognizes the content of a part. Both return errors
// of the disk that is read and of this host, but none for faults in its bytes.
Result<PartitionTable> read_partition_table(const DiskPart& disk);
Result<Signature> find_signature(const DiskPart& part);

}  // namespace ashlar
