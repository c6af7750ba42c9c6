// The states of the object `snapshots/<id>` during a snapshot's life. Page: docs/format/snapshot.md.
//
//   open ──commit──▶ record ⇄ binned ──purge──▶ purged (then removed)
//     └──────────────▶ swept: the writer gave up, or was taken away
//
// Each arrow replaces the object only if it is unchanged, and every version has bytes of its own (a nonce or
// an incarnation): so a replacement that arrives late, or from a writer that slept, is refused.
#pragma once

#include <optional>
#include <variant>

#include "format/snapshot_record.h"

namespace ashlar {

inline constexpr std::uint16_t kSnapshotLifeVersion = 2;
// A record, and what a gone record adds to it.
inline constexpr std::size_t kMaxSnapshotObjectBytes = kMaxSnapshotRecordBytes + 4096;

// A snapshot that is being made: readers pass over it.
struct OpenSnapshot {
  SnapshotId id;
  StoreId store;
  SessionId session;  // the writer's
  Nonce nonce;
  friend bool operator==(const OpenSnapshot&, const OpenSnapshot&) = default;
};
ByteVector encode(const OpenSnapshot& open);

enum class GoneState : std::uint8_t {
  kSwept = 1,   // it was never published
  kBinned = 2,  // deleted, and can come back
  kPurged = 3,  // deleted for good
};

struct GoneSnapshot {
  SnapshotId id;
  GoneState state = GoneState::kSwept;
  std::uint32_t incarnation = 0;
  UtcTime deleted;
  Nonce nonce;
  std::optional<SnapshotRecord> record;  // as it was; of a swept one nothing
  friend bool operator==(const GoneSnapshot&, const GoneSnapshot&) = default;
};
ByteVector encode(const GoneSnapshot& gone);

using SnapshotObject = std::variant<OpenSnapshot, SnapshotRecord, GoneSnapshot>;

SnapshotId id_of(const SnapshotObject& object);
// Returns the record of a snapshot that is published or lies in the bin; nullptr for any other.
const SnapshotRecord* record_of(const SnapshotObject& object);
// Decodes whichever of the three the bytes are.
Result<SnapshotObject> decode_snapshot_object(ByteSpan bytes);

}  // namespace ashlar
