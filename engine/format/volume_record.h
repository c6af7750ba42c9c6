// The bytes of a volume's record. Page: docs/format/volume.md.
//
// The record lives as `volumes/<volume id>` and names the snapshot that the volume stands on. It is replaced
// as a whole, and the writer names the bytes that it read, so that it replaces no change of another writer.
// The states of the volume's own blocks are in its overlay.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "format/tags.h"

namespace ashlar {

inline constexpr std::uint16_t kVolumeVersion = 3;
inline constexpr std::size_t kMaxVolumeRecordBytes = 64UL * 1024;
inline constexpr std::size_t kMaxVolumeHostNameBytes = 255;

struct VolumeRecord {
  VolumeId id;
  StoreId store;
  AccountId owner;  // value 0: the store's own account
  UtcTime created;
  ByteCount size;   // at least the size of the base
  SnapshotId base;  // value 0: none, the volume was blank
  // The base that a snapshot of the volume has just replaced; the overlay may still stand on it. Value 0:
  // none.
  SnapshotId previous_base;
  bool is_detached = false;    // every block is in the overlay, so the store is not needed
  HostId host;                 // that holds the overlay
  std::string host_name;       // its name, for messages
  std::uint64_t revision = 1;  // one more with each replacement
  std::string name;
  Tags tags;

  friend bool operator==(const VolumeRecord&, const VolumeRecord&) = default;
};

Status check_limits(const VolumeRecord& record);
ByteVector encode(const VolumeRecord& record);
Result<VolumeRecord> decode_volume_record(ByteSpan bytes);

}  // namespace ashlar
