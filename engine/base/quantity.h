// Quantities: block numbers, block counts and byte quantities as separate types.
//
// Off-by-one errors here come from mixing block numbers, byte offsets and block counts. So conversions
// between them are written out, and unchecked mixing does not compile. All are 64 bits; a volume has at most
// 2^44 blocks (64 PiB), so a byte offset never wraps.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace ashlar {

inline constexpr std::uint64_t kBlockBytes = 4096;
inline constexpr std::uint64_t kRegionBlocks = 16;     // a region, which one hash of a leaf covers (64 KiB)
inline constexpr std::uint64_t kFrameBlocks = 16;      // blocks of a frame by default (64 KiB)
inline constexpr std::uint64_t kSegmentBlocks = 1024;  // most blocks of a segment (4 MiB)
inline constexpr std::uint64_t kLeafBlocks = 1024;     // blocks that one leaf of a manifest covers (4 MiB)
inline constexpr std::uint64_t kRegionBytes = kRegionBlocks * kBlockBytes;
inline constexpr std::uint64_t kFrameBytes = kFrameBlocks * kBlockBytes;
inline constexpr std::uint64_t kSegmentBytes = kSegmentBlocks * kBlockBytes;
inline constexpr std::uint64_t kLeafBytes = kLeafBlocks * kBlockBytes;
inline constexpr std::uint64_t kLeafRegions = kLeafBlocks / kRegionBlocks;
inline constexpr std::uint64_t kMaxVolumeBytes = std::uint64_t{1} << 56;  // 64 PiB

template <class Tag>
struct Quantity {
  std::uint64_t value = 0;
  constexpr Quantity() = default;
  constexpr explicit Quantity(std::uint64_t v) : value(v) {}
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

using BlockCount = Quantity<struct BlockCountTag>;
using ByteCount = Quantity<struct ByteCountTag>;
using Lba = Quantity<struct LbaTag>;                // number of a block in a device
using ByteOffset = Quantity<struct ByteOffsetTag>;  // place of a byte in a device or a file

constexpr BlockCount operator+(BlockCount a, BlockCount b) { return BlockCount{a.value + b.value}; }
constexpr BlockCount operator-(BlockCount a, BlockCount b) { return BlockCount{a.value - b.value}; }
constexpr BlockCount& operator+=(BlockCount& a, BlockCount b) { return a = a + b; }
constexpr ByteCount operator+(ByteCount a, ByteCount b) { return ByteCount{a.value + b.value}; }
constexpr ByteCount operator-(ByteCount a, ByteCount b) { return ByteCount{a.value - b.value}; }
constexpr ByteCount& operator+=(ByteCount& a, ByteCount b) { return a = a + b; }
constexpr Lba operator+(Lba a, BlockCount b) { return Lba{a.value + b.value}; }
constexpr Lba& operator+=(Lba& a, BlockCount b) { return a = a + b; }
constexpr BlockCount operator-(Lba a, Lba b) { return BlockCount{a.value - b.value}; }
constexpr ByteOffset operator+(ByteOffset a, ByteCount b) { return ByteOffset{a.value + b.value}; }
constexpr ByteCount operator-(ByteOffset a, ByteOffset b) { return ByteCount{a.value - b.value}; }

constexpr ByteOffset byte_offset(Lba lba) { return ByteOffset{lba.value * kBlockBytes}; }
constexpr ByteCount byte_count(BlockCount count) { return ByteCount{count.value * kBlockBytes}; }
constexpr Lba lba_of(ByteOffset offset) { return Lba{offset.value / kBlockBytes}; }
// Returns the number of blocks that cover `bytes`, including a short last one.
constexpr BlockCount blocks_covering(ByteCount bytes) {
  return BlockCount{bytes.value / kBlockBytes + (bytes.value % kBlockBytes != 0 ? 1 : 0)};
}

// `count` blocks from `first` on; end() is the first block after them.
struct BlockRange {
  Lba first;
  BlockCount count;
  constexpr Lba end() const { return first + count; }
  constexpr bool empty() const { return count.value == 0; }
  friend constexpr bool operator==(BlockRange, BlockRange) = default;
};

}  // namespace ashlar
