// The bytes of a boot pack: a second copy of what the first reads of a snapshot need, contiguous and in the
// order in which it is needed. Page: docs/format/boot_pack.md.
//
//   BootPackHeader (64) | items: BootItemHeader (12), bytes; repeated
//
// Every item can be checked alone: a node by its id, a directory by its segment's id, a frame by its
// directory. So a reader may use the items that lie before damage. A boot pack is never the only copy of
// anything.
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
  kInnerNode = 2,  // an encoded inner node of the manifest
  kDirectory = 3,  // the directory of a segment; frames name the n-th directory of the pack as segment n
  kFrame = 4,      // the stored bytes of a frame of a segment whose directory came before
  kRegion = 5,     // a u64, the number of a region: all items that it needs came before
};

struct BootItemHeader {
  BootItemKind kind = BootItemKind::kLeaf;
  std::uint16_t frame = 0;    // kFrame: number of the frame in its segment
  std::uint32_t segment = 0;  // kFrame: number of the segment's directory in this pack, from 0
  std::uint32_t bytes = 0;    // length of what follows
  friend bool operator==(const BootItemHeader&, const BootItemHeader&) = default;
};
ByteVector encode(const BootItemHeader& header);
// Fails with kCorrupt for an unknown kind, and for more bytes than an item of its kind can have.
Result<BootItemHeader> decode_boot_item_header(ByteSpan bytes);

}  // namespace ashlar
