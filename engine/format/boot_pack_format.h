// The bytes of a boot pack: what the first reads of a snapshot need, once more, contiguous, in the order in
// which it is needed. Page: docs/format/boot_pack.md.
//
//   BootPackHeader (64) | items: BootItemHeader (12), bytes; repeated
//
// Every item proves itself: a node by its id, a directory by its segment's id, a frame by its directory. So a
// reader may use what lies before damage, and nothing here is ever the only copy.
#pragma once

#include <cstdint>

#include "base/id.h"
#include "base/result.h"
#include "format/trace_record.h"

namespace ashlar {

inline constexpr std::uint16_t kBootPackVersion = 1;
inline constexpr std::size_t kBootPackHeaderBytes = 64;
inline constexpr std::size_t kBootItemHeaderBytes = 12;
inline constexpr std::uint64_t kMaxBootPackBytes = std::uint64_t{256} << 20U;

struct BootPackHeader {
  BootPackId id;
  SnapshotId snapshot;
  StoreId store;
  friend bool operator==(const BootPackHeader&, const BootPackHeader&) = default;
};
ByteVector encode(const BootPackHeader& header);
Result<BootPackHeader> decode_boot_pack_header(ByteSpan bytes);

enum class BootItemKind : std::uint8_t {
  kLeaf = 1,       // an encoded leaf of the manifest
  kInnerNode = 2,  // an encoded inner node of it
  kDirectory = 3,  // of a segment; the n-th of the pack is segment n for frames
  kFrame = 4,      // the stored bytes of a frame of a segment whose directory came before
  kRegion = 5,     // a u64, the number of a region: all that it needs came before
};

struct BootItemHeader {
  BootItemKind kind = BootItemKind::kLeaf;
  std::uint16_t frame = 0;    // kFrame: its number in the segment
  std::uint32_t segment = 0;  // kFrame
  std::uint32_t bytes = 0;    // that follow
  friend bool operator==(const BootItemHeader&, const BootItemHeader&) = default;
};
ByteVector encode(const BootItemHeader& header);
// kCorrupt for an unknown kind and for more bytes than its kind can have.
Result<BootItemHeader> decode_boot_item_header(ByteSpan bytes);

}  // namespace ashlar
