// The bytes of a snapshot record. Page: docs/format/snapshot.md. What it says of the volume's contents never
// changes; tags may be replaced, and a snapshot that comes back from the bin gets another incarnation.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "format/node_format.h"
#include "format/tags.h"

namespace ashlar {

inline constexpr std::uint16_t kSnapshotVersion = 2;
inline constexpr std::size_t kMaxSnapshotRecordBytes = 256UL * 1024;

enum class Consistency : std::uint8_t {
  kQuiescent = 0,  // without writers: unmounted, mounted read-only, or a plain file or stream
  kFrozen = 1,     // the file system was frozen for the whole capture
  kLive = 2,       // a mounted source was read while in use: the blocks may be of different instants
  kInstant = 3,    // a volume while it was written to: all blocks are of one instant, as after a power cut
};

enum class SourceKind : std::uint8_t { kFile = 1, kDevice = 2, kNbd = 3, kStream = 4 };

struct SnapshotRecord {
  SnapshotId id;
  SnapshotId parent;  // value 0: none
  StoreId store;
  UtcTime created;
  ByteCount size;  // size of the volume; any number of bytes, not only multiples of 4096
  std::uint8_t root_level = 0;
  NodeRef root;
  ContentDigest content;  // volume_digest(size, root_level, root.digest)

  SourceKind source_kind = SourceKind::kFile;
  SourceIdentity source_identity;  // digest of what identified the source: finds a parent and opens nothing
  Consistency consistency = Consistency::kQuiescent;
  std::uint32_t generation = 0;    // number of ancestors by `parent`; selects the sample of an audit
  std::uint32_t incarnation = 0;   // one more at each deletion and each return from the bin
  std::uint64_t revision = 0;      // one more at each change of the record
  std::uint32_t sector_bytes = 0;  // logical sector size of the source; 0: unknown

  // These count blocks of the whole volume.
  BlockCount data_blocks;
  BlockCount zero_blocks;
  BlockCount unallocated_blocks;
  BlockCount unreadable_blocks;
  // These count what this capture added.
  BlockCount new_blocks;
  ByteCount new_stored_bytes;

  std::string name;
  std::string description;
  std::string change_token;  // the generation of the source's changed-block map at the capture; may be empty
  std::string program;       // "ashlar 0.1.0"
  std::string label;         // names the source for people and for retention; may be empty
  Tags tags;

  friend bool operator==(const SnapshotRecord&, const SnapshotRecord&) = default;
};

// Checks text lengths, the number of tags and tag lengths; the message names the limit that is broken.
Status check_limits(const SnapshotRecord& record);
ByteVector encode(const SnapshotRecord& record);
Result<SnapshotRecord> decode_snapshot_record(ByteSpan bytes);

}  // namespace ashlar
