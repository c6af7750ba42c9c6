// The bytes of the map of a volume's overlay. Page: docs/format/overlay_map.md. All integers little-endian.
//
// A map is a header and then transactions, each appended to the one before. The first transaction is whole:
// it gives the state of every block. Each later one gives the changes since the one before.
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

// The state of a block in an overlay; the number is its two bits in a map.
enum class BlockHold : std::uint8_t { kAbsent = 0, kClean = 1, kDirty = 2, kZero = 3 };

// The states of the blocks of a chunk, packed: block i is in bits 2 × (i mod 4) and up of byte i / 4.
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
  // Returns the length of the run of blocks in [first, end) that starts at `first` and has its state.
  std::size_t run(std::size_t first, std::size_t end) const;
  bool is_constant() const;  // true when all blocks have the state of the first
  friend bool operator==(const ChunkStates&, const ChunkStates&) = default;
};

struct OverlayMapHeader {
  VolumeId volume;
  // Random, one for each file. It seeds the checksums, so that bytes of another file do not pass as this
  // file's.
  std::uint64_t salt = 0;
  friend bool operator==(const OverlayMapHeader&, const OverlayMapHeader&) = default;
};

enum class OverlayRecordKind : std::uint8_t {
  kStates = 1,    // states of one chunk, in `states`
  kConstant = 2,  // a run of chunks whose blocks all have the state `hold`
  kOpened = 3,    // a run of chunks whose clean blocks may have changed from here on
};

struct OverlayRecord {
  OverlayRecordKind kind = OverlayRecordKind::kConstant;
  BlockHold hold = BlockHold::kAbsent;  // kConstant only
  std::uint32_t count = 1;              // number of chunks
  std::uint64_t chunk = 0;              // the first chunk
  const ChunkStates* states = nullptr;  // kStates only; not owned
};

struct OverlayTransaction {
  static constexpr std::uint32_t kWhole = 1;   // chunks without a record are absent, and no chunk is opened
  static constexpr std::uint32_t kClosed = 2;  // from here on no chunk is opened

  std::uint64_t sequence = 0;  // sequence of the transaction before it, plus one
  SnapshotId base;             // value 0: no base
  ByteCount size;              // size of the volume
  std::uint32_t flags = 0;
  // Records of states and constants come first, then those of opened chunks. Each of the two groups is sorted
  // by chunk and names a chunk once at most.
  std::vector<OverlayRecord> records;
};

constexpr std::uint64_t chunks_covering(ByteCount size) {
  const std::uint64_t chunk_bytes = kChunkBlocks * kBlockBytes;
  return size.value / chunk_bytes + (size.value % chunk_bytes != 0 ? 1 : 0);
}

ByteVector encode(const OverlayMapHeader& header);
Result<OverlayMapHeader> decode_overlay_map_header(ByteSpan bytes);

ByteVector encode(const OverlayTransaction& transaction, std::uint64_t salt);

// A decoded transaction. Its records point into `states`.
struct DecodedTransaction {
  DecodedTransaction() = default;
  DecodedTransaction(DecodedTransaction&&) = default;
  DecodedTransaction& operator=(DecodedTransaction&&) = default;

  OverlayTransaction transaction;
  std::vector<ChunkStates> states;
  std::size_t bytes = 0;  // length of the encoding
};
// Decodes the transaction that `bytes` starts with; more bytes may follow it.
Result<DecodedTransaction> decode_overlay_transaction(ByteSpan bytes, std::uint64_t salt);

// Returns the position in `bytes`, at or after `from`, of a sound transaction with a sequence above `after`;
// bytes.size() when there is none.
std::size_t find_overlay_transaction(ByteSpan bytes, std::size_t from, std::uint64_t after,
                                     std::uint64_t salt);

}  // namespace ashlar
