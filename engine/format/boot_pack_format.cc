#include "format/boot_pack_format.h"

#include <fmt/format.h>

#include "codec/hash.h"
#include "format/cursor.h"
#include "format/node_format.h"
#include "format/pack_format.h"

namespace ashlar {
namespace {

constexpr std::string_view kMagic = "ASHLBOOT";

// Each sum follows its encoder, member by member.
static_assert(kBootPackHeaderBytes == kMagic.size() + 2 + 6 + BootPackId::kBytes + 8 + StoreId::kBytes + 8);
static_assert(kBootItemHeaderBytes == 1 + 1 + 2 + 4 + 4);

Error damaged(std::string_view what) { return corrupt(fmt::format("boot pack: {}", what)); }

std::size_t most_bytes(BootItemKind kind) {
  switch (kind) {
    case BootItemKind::kLeaf:
    case BootItemKind::kInnerNode:
      return kMaxNodeBytes;
    case BootItemKind::kDirectory:
      return kMaxDirectoryBytes;
    case BootItemKind::kFrame:
      return kMaxFrameBlocks * kBlockBytes;
    case BootItemKind::kRegion:
      return sizeof(std::uint64_t);
  }
  return 0;
}

}  // namespace

ByteVector encode(const BootPackHeader& header) {
  ByteWriter out;
  out.text(kMagic);
  out.u16(kBootPackVersion);
  out.zeros(6);
  out.bytes(header.id.span());
  out.u64(header.snapshot.value);
  out.bytes(header.store.span());
  out.u64(checksum64(out.span()));
  return out.take();
}

Result<BootPackHeader> decode_boot_pack_header(ByteSpan bytes) {
  ByteReader in(bytes);
  if (bytes.size() != kBootPackHeaderBytes || !in.expect(kMagic)) return damaged("bad magic");
  if (ByteReader(bytes.last(8)).u64() != checksum64(bytes.first(kBootPackHeaderBytes - 8)))
    return damaged("checksum does not match");
  const auto version = in.u16();
  if (version > kBootPackVersion) {
    return unsupported(fmt::format("boot pack: format version {} is newer than this program", version));
  }
  BootPackHeader header;
  if (version == 0 || !in.reserved(6)) return damaged("impossible header");
  in.copy(header.id.span());
  header.snapshot.value = in.u64();
  in.copy(header.store.span());
  return header;
}

ByteVector encode(const BootItemHeader& header) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(header.kind));
  out.u8(0);
  out.u16(header.frame);
  out.u32(header.segment);
  out.u32(header.bytes);
  return out.take();
}

Result<BootItemHeader> decode_boot_item_header(ByteSpan bytes) {
  ByteReader in(bytes);
  BootItemHeader header;
  const auto kind = in.u8();
  if (kind < 1 || kind > 5 || !in.reserved(1)) return damaged("an item of no known kind");
  header.kind = BootItemKind{kind};
  header.frame = in.u16();
  header.segment = in.u32();
  header.bytes = in.u32();
  if (!in.done()) return damaged("an item is cut off");
  if (header.bytes == 0 || header.bytes > most_bytes(header.kind))
    return damaged("an item of impossible size");
  if (header.kind == BootItemKind::kRegion && header.bytes != sizeof(std::uint64_t))
    return damaged("an item of impossible size");
  if (header.kind != BootItemKind::kFrame && (header.frame != 0 || header.segment != 0))
    return damaged("a frame number where none belongs");
  return header;
}

}  // namespace ashlar
