// The bytes of the map of a volume's overlay. Page: docs/format/overlay_map.md. All integers little-endian.
//
// A header and then transactions, appended one after the other. The first one is whole: it says what every
// block is. Each later one says what changed since.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/quantity.h"
#include "base/result.h"

namespace ashlar {

inline constexpr std::uint16_t kOverlayMapVersion = 1;
inline constexpr std::size_t kOverlayMapHeaderBytes = 40;
inline constexpr std::uint64_t kChunkBlocks = kLeafBlocks;  // a chunk is what a leaf of the manifest covers
inline constexpr std::size_t kChunkStateBytes = kChunkBlocks / 4;

// What an overlay has of a block; the number is its two bits in a map.
enum class BlockHold : std::uint8_t { kAbsent = 0, kClean = 1, kDirty = 2, kZero = 3 };

// The states of a chunk's blocks, packed: block i in bits 2 × (i mod 4) of byte i / 4.
struct ChunkStates {
  std::array<std::byte, kChunkStateBytes> bytes{};

  BlockHold get(std::size_t block) const {
    return static_cast<BlockHold>(std::to_integer<unsigned>(bytes[block / 4]) >> (2 * (block % 4)) & 3U);
  }
  void set(std::size_t block, BlockHold hold) {
    const unsigned shift = 2 * (block % 4);
    const unsigned rest = std::to_integer<unsigned>(bytes[block / 4]) & ~(3U << shift);
    bytes[block / 4] = static_cast<std::byte>(rest | static_cast<unsigned>(hold) << shift);
  }
  void fill(BlockHold hold) { bytes.fill(static_cast<std::byte>(static_cast<unsigned>(hold) * 0x55U)); }
  // How many blocks from `first` on, and below `end`, have its state.
  std::size_t run(std::size_t first, std::size_t end) const;
  bool is_constant() const;  // all blocks have the state of the first
  friend bool operator==(const ChunkStates&, const ChunkStates&) = default;
};

struct OverlayMapHeader {
  VolumeId volume;
  std::uint64_t salt =
      0;  // random, of this file: seeds the checksums, so that no other bytes pass as its own
  friend bool operator==(const OverlayMapHeader&, const OverlayMapHeader&) = default;
};

enum class OverlayRecordKind : std::uint8_t {
  kStates = 1,    // one chunk, `states` says what its blocks are
  kConstant = 2,  // a run of chunks whose blocks all are `hold`
  kOpened = 3,    // a run of chunks whose clean blocks may be changed from now on
};

struct OverlayRecord {
  OverlayRecordKind kind = OverlayRecordKind::kConstant;
  BlockHold hold = BlockHold::kAbsent;  // kConstant only
  std::uint32_t count = 1;              // chunks
  std::uint64_t chunk = 0;              // the first of them
  const ChunkStates* states = nullptr;  // kStates only; not owned
};

struct OverlayTransaction {
  static constexpr std::uint32_t kWhole = 1;   // chunks that are not named are absent, and none is opened
  static constexpr std::uint32_t kClosed = 2;  // no chunk is opened any more

  std::uint64_t sequence = 0;  // one more than that of the transaction before
  SnapshotId base;             // value 0: none
  ByteCount size;              // of the volume
  std::uint32_t flags = 0;
  // First states and constants, then opened ones; by chunk, none twice among either.
  std::vector<OverlayRecord> records;
};

constexpr std::uint64_t chunks_covering(ByteCount size) {
  const std::uint64_t chunk_bytes = kChunkBlocks * kBlockBytes;
  return size.value / chunk_bytes + (size.value % chunk_bytes != 0 ? 1 : 0);
}

ByteVector encode(const OverlayMapHeader& header);
Result<OverlayMapHeader> decode_overlay_map_header(ByteSpan bytes);

ByteVector encode(const OverlayTransaction& transaction, std::uint64_t salt);

// A decoded transaction. Records point into `states`.
struct DecodedTransaction {
  DecodedTransaction() = default;
  DecodedTransaction(DecodedTransaction&&) = default;
  DecodedTransaction& operator=(DecodedTransaction&&) = default;

  OverlayTransaction transaction;
  std::vector<ChunkStates> states;
  std::size_t bytes = 0;  // its length
};
// The transaction that `bytes` begins with; more may follow.
Result<DecodedTransaction> decode_overlay_transaction(ByteSpan bytes, std::uint64_t salt);

// Where in `bytes`, at or after `from`, a sound transaction with a sequence above `after` begins;
// bytes.size() when there is none.
std::size_t find_overlay_transaction(ByteSpan bytes, std::size_t from, std::uint64_t after,
                                     std::uint64_t salt);

}  // namespace ashlar
