// The bytes of a damage record. Page: docs/format/damage.md.
//
// The record lives as `damage/<pack id>` and says what of a pack was read and found wrong. A pack never
// changes, so a frame of it is named by its segment and its number in that segment. Each finding is either
// damaged or given up as lost; what is lost is damaged too.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>

#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"
#include "format/pack_format.h"

namespace ashlar {

inline constexpr std::uint16_t kDamageVersion = 1;
inline constexpr std::size_t kMaxDamageRecordBytes = std::size_t{4} << 20U;

// A set of frames of a segment, by number. A segment of which the directory is damaged has all of them.
using FrameSet = std::bitset<kSegmentBlocks>;

struct SegmentDamage {
  FrameSet damaged;
  FrameSet lost;  // those of `damaged` that were given up
  friend bool operator==(const SegmentDamage&, const SegmentDamage&) = default;
};

enum class NodeDamage : std::uint8_t { kDamaged = 1, kLost = 2 };

struct DamageRecord {
  PackKind kind = PackKind::kData;
  StoreId store;
  PackId pack;
  std::uint64_t revision = 1;  // 1 at first, one more with each replacement
  Nonce nonce;                 // random, another one in each version
  bool is_whole = false;       // the header, footer or trailer is damaged, or more than a record can name
  bool is_given_up = false;    // the pack as a whole was given up as lost; needs `is_whole`
  std::map<SegmentId, SegmentDamage> segments;  // of a data pack; no entry is empty
  std::map<NodeId, NodeDamage> nodes;           // of a meta pack

  // Returns whether the record names no damage: all of it was found sound later.
  bool is_empty() const { return !is_whole && segments.empty() && nodes.empty(); }
  friend bool operator==(const DamageRecord&, const DamageRecord&) = default;
};

// Returns whether `now` names damage, or a loss, that `before` does not.
bool has_more(const DamageRecord& now, const DamageRecord& before);
// Adds the findings of `other`, a record of the same pack.
void add_findings(DamageRecord& record, const DamageRecord& other);

ByteVector encode(const DamageRecord& record);
// Fails with kUnsupported for a newer version, and with kCorrupt for all else that encode() does not write.
Result<DamageRecord> decode_damage_record(ByteSpan bytes);

}  // namespace ashlar
